package io.conexor.api.session;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Keeps logins in a store shared by all backends.
 *
 * <p><b>Threads.</b> Safe for concurrent use. Methods block for at most the configured operation
 * timeout and must not be called from an I/O thread.
 *
 * <p><b>Consistency.</b> What a method did is seen by every later call on every backend. Attributes
 * are merged one by one: concurrent updates of different attributes all survive, of the same
 * attribute the last one wins. Revocation is seen at once everywhere.
 *
 * <p><b>Failure.</b> {@link SessionsUnavailableException} means "no answer" for reads and an
 * unknown outcome for changes; it never means "no such session". Every change may be repeated
 * without harm.
 */
@ProviderType
public interface SessionStore {

  /** See {@link #update}. */
  String GROWING = "max.";

  /**
   * Starts a login under a new random id.
   *
   * @param timeToLive renewed by {@link #find}; 1 s to 30 days
   */
  Session create(String subject, Map<String, String> attributes, Duration timeToLive);

  /**
   * Returns the session, or empty if it never existed, was removed or has expired. Finding renews
   * the time to live, lazily: at the latest when a tenth of it has passed.
   */
  Optional<Session> find(SessionId id);

  /**
   * Sets and removes single attributes, leaving the others alone. Attributes whose name begins with
   * {@value #GROWING} only grow: of two values the greater text is kept, whichever comes last.
   *
   * @return the session afterwards, or empty if it is gone (nothing was written)
   * @throws IllegalArgumentException when the attributes would pass the store's size limit; nothing
   *     was written
   */
  Optional<Session> update(SessionId id, Map<String, String> set, List<String> remove);

  /**
   * Moves the session to a new id (after a change of privilege); the old id is invalid at once.
   * Empty if it is gone.
   */
  Optional<Session> rotate(SessionId id);

  /** Ends one session. Ending one that is gone is fine. */
  void remove(SessionId id);

  /** Ends all sessions of the subject but, where given, one; returns how many ended. */
  int removeAll(String subject, Optional<SessionId> except);

  /** The live sessions of a subject, oldest first, at most 1,000. */
  List<Session> list(String subject);
}
