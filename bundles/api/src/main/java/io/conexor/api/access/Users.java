package io.conexor.api.access;

import io.conexor.api.Secret;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.session.SessionId;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * The people of an organisation.
 *
 * <p><b>Threads.</b> Safe for concurrent use. Methods block for at most the database deadline plus
 * one password hash; not for I/O threads.
 */
@ProviderType
public interface Users {

  /**
   * Creates an account; repeating with the same id is safe. A taken e-mail address is a {@code
   * CALLER} error.
   */
  User create(OrgId org, UserId id, String email, Role role, Secret password);

  List<User> list(OrgId org);

  /**
   * Changes a password and ends the person's sessions.
   *
   * @param except the session that goes on: the one in which somebody changes their own password
   */
  void changePassword(OrgId org, UserId id, Secret password, Optional<SessionId> except);

  /**
   * Removes an account and ends its sessions. The last administrator can't be removed ({@code
   * CALLER} error).
   */
  void remove(OrgId org, UserId id);

  /** An account as it is listed. */
  record User(UserId id, OrgId org, String email, Role role, java.time.Instant createdAt) {}
}
