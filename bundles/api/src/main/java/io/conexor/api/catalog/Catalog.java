package io.conexor.api.catalog;

import io.conexor.api.Subscription;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Reads what organisations own, from a cache that the backplane keeps fresh.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. For an organisation seen recently the
 * stage is complete on return.
 *
 * <p><b>Consistency.</b> A change made here is seen here at once, elsewhere within moments
 * (backplane), at the latest after the configured refresh interval.
 *
 * <p><b>Failure.</b> While the database is away the last known version is served up to its maximum
 * age; then, or when nothing is known, the stage fails with a {@code DEPENDENCY} error. "No such
 * organisation" is an empty result.
 */
@ProviderType
public interface Catalog {

  /** By the organisation's name in URLs. */
  CompletionStage<Optional<OrgCatalog>> bySlug(String slug);

  CompletionStage<Optional<OrgCatalog>> byId(OrgId org);

  /**
   * Calls the listener after every change seen by this backend, with the organisation it concerns.
   * Must not block.
   */
  Subscription onChange(Consumer<OrgId> listener);
}
