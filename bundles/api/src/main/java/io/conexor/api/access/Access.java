package io.conexor.api.access;

import io.conexor.api.Secret;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.session.Session;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Establishes who is asking.
 *
 * <p><b>Threads.</b> Safe for concurrent use; nothing blocks. For a key seen recently the stage is
 * complete on return.
 *
 * <p><b>Failure.</b> A stage fails with a {@code DEPENDENCY} error when the truth can't be
 * established; "refused" is a result. Keys already known stay valid from a bounded cache while the
 * database is away (maximum age: configuration of {@code access}); revocation reaches all backends
 * through the backplane at once.
 */
@ProviderType
public interface Access {

  /**
   * Checks a credential. Refusals are constant-time with respect to the secret and say no more than
   * needed.
   */
  CompletionStage<Authentication> authenticate(Credential credential);

  /**
   * Checks a password and starts a session. Throttled per account and per address; the same answer,
   * after the same time, for an unknown address and a wrong password.
   */
  CompletionStage<SignIn> signIn(String email, Secret password, String remoteAddress);

  /** True until the first administrator exists. */
  CompletionStage<Boolean> needsSetup();

  /**
   * First-run set-up: creates an organisation and its first administrator, once.
   *
   * @param setupToken the one-time token that the server made at its first start and wrote to its
   *     data folder
   * @return empty when the token is wrong or set-up has been done already
   */
  CompletionStage<Optional<OrgId>> setUp(
      Secret setupToken, String orgSlug, String orgName, String email, Secret password);

  /** The outcome of {@link #authenticate}. */
  sealed interface Authentication {
    /**
     * @param attributes what the session keeps; empty without one
     */
    record Granted(Principal principal, Map<String, String> attributes) implements Authentication {
      public Granted(Principal principal) {
        this(principal, Map.of());
      }
    }

    /**
     * @param reason for people, e.g. {@code the key has expired}; reveals nothing to those who hold
     *     no valid key
     */
    record Refused(String reason) implements Authentication {}
  }

  /** The outcome of {@link #signIn}. */
  sealed interface SignIn {
    record Welcome(Principal.User user, Session session) implements SignIn {}

    record Refused(String reason) implements SignIn {}

    record TooMany(java.time.Duration retryAfter) implements SignIn {}
  }
}
