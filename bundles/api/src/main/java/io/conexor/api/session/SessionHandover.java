package io.conexor.api.session;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.osgi.annotation.versioning.ProviderType;

/** A store that can give its sessions to the one that takes its place while people click. */
@ProviderType
public interface SessionHandover extends SessionStore {

  /**
   * A session to be put down elsewhere under the same id.
   *
   * @param timeToLive all of it, not what is left
   */
  record Held(Session session, Duration timeToLive) {}

  /**
   * Gives everything away; calls wait meanwhile, and are then passed on to the successor.
   *
   * @param put takes all sessions, oldest first. When it throws, nothing has changed: this store
   *     keeps them and goes on.
   * @return how many there were
   */
  int handOver(SessionStore successor, Consumer<List<Held>> put);
}
