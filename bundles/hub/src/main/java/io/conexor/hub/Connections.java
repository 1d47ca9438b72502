package io.conexor.hub;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;

/**
 * All open connections of the hub, and those which have ended and wait for their last message to be
 * written.
 */
final class Connections implements Connection.Keeper {
  private final Set<Connection> open = ConcurrentHashMap.newKeySet();

  /** Value: the nano time after which the socket is closed whatever is queued. */
  private final ConcurrentHashMap<Connection, Long> lingering = new ConcurrentHashMap<>();

  private final long lingerNanos;
  private final LongSupplier nanoTime;

  Connections(long lingerNanos, LongSupplier nanoTime) {
    this.lingerNanos = lingerNanos;
    this.nanoTime = nanoTime;
  }

  Set<Connection> open() {
    return open;
  }

  int size() {
    return open.size();
  }

  @Override
  public void opened(Connection connection) {
    open.add(connection);
  }

  @Override
  public void ended(Connection connection) {
    open.remove(connection);
    lingering.put(connection, nanoTime.getAsLong() + lingerNanos);
  }

  @Override
  public void closed(Connection connection) {
    open.remove(connection);
    lingering.remove(connection);
  }

  /** Closes the sockets whose last message could not be written in time. */
  void sweep(long now) {
    lingering.forEach(
        (connection, deadline) -> {
          if (now - deadline >= 0) {
            lingering.remove(connection);
            connection.closeNow();
          }
        });
  }
}
