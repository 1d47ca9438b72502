package io.conexor.hub.clients;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Event;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Reads, for one connection that was taken over, the events its last owner had not dealt with, and
 * those of the present until the backend's own reader is not ahead any more; then the connection
 * changes over to that one. State belongs to the connection's order of tasks.
 */
final class CatchUp implements Backplane.EventListener {
  private final ClientSession session;
  private final Bus bus;
  private final Supplier<Map<Integer, Position>> present;
  private final Map<Integer, Position> seen = new HashMap<>();
  private @Nullable Subscription subscription;
  private boolean done;

  /**
   * @param from the last events that were dealt with
   * @param present the last events dealt with on this backend
   */
  CatchUp(
      ClientSession session,
      Bus bus,
      Map<Integer, Position> from,
      Supplier<Map<Integer, Position>> present) {
    this.session = session;
    this.bus = bus;
    this.present = present;
    this.seen.putAll(from);
  }

  /** After the session began with it. */
  void start(Backplane backplane) {
    Map<Integer, Position> from = Map.copyOf(seen);
    Subscription mine = backplane.subscribe(Bus.TOPIC, from, this);
    session.run(
        () -> {
          subscription = mine;
          if (done) {
            mine.close();
          } else {
            changeOver();
          }
        });
  }

  @Override
  public void event(Event event) {
    bus.dispatch(event, session);
    session.run(
        () -> {
          seen.put(event.position().partition(), event.position());
          changeOver();
        });
  }

  @Override
  public void gap(Topic topic, @Nullable Position lastSeen, Position resumesAt) {
    session.end(Leg.RESTART, "messages are missing that were sent meanwhile; connect anew", null);
  }

  private void changeOver() {
    if (done) {
      return;
    }
    for (Map.Entry<Integer, Position> at : present.get().entrySet()) {
      Position mine = seen.get(at.getKey());
      if (mine == null
          || !mine.epoch().equals(at.getValue().epoch())
          || mine.offset() < at.getValue().offset()) {
        return;
      }
    }
    session.caughtUp();
    close();
  }

  /** From the session's tasks. */
  void close() {
    done = true;
    Subscription mine = subscription;
    if (mine != null) {
      mine.close();
    }
  }
}
