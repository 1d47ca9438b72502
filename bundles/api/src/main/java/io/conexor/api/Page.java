package io.conexor.api;

import java.util.List;
import java.util.Optional;

/**
 * One page of a longer listing.
 *
 * @param next where the next page starts, opaque; empty on the last page
 */
public record Page<T>(List<T> items, Optional<String> next) {

  public Page {
    items = List.copyOf(items);
  }
}
