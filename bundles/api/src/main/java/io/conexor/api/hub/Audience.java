package io.conexor.api.hub;

import java.util.Set;

/** Which connections of a hub, anywhere in the fleet, a message is for. */
public sealed interface Audience {

  /** All but some connection ids. */
  record Everyone(Set<String> except) implements Audience {
    public Everyone {
      except = Set.copyOf(except);
    }
  }

  /** Those in a group but some connection ids. */
  record Group(String name, Set<String> except) implements Audience {
    public Group {
      except = Set.copyOf(except);
    }
  }

  /**
   * All connections of a principal.
   *
   * @param subject as in {@link io.conexor.api.access.Principal#subject()}
   */
  record User(String subject) implements Audience {}

  /** One connection. */
  record Connection(String id) implements Audience {}
}
