package io.conexor.hub.clients;

import io.conexor.api.access.Credential;
import io.conexor.api.access.Principal;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Position;
import io.conexor.api.hub.ResumeStore;
import io.conexor.api.hub.ResumeStore.Kept;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes a connection over from the backend that had it, which may be dead: asks that one to let go,
 * takes the record with a higher fence, and reads the events that were not dealt with there.
 */
final class Takeover {
  private static final Logger log = LoggerFactory.getLogger(Takeover.class);

  private final ClientHub home;
  private final ResumeStore store;
  private final Forwarder forwarder;
  private final Cursors cursors;

  Takeover(ClientHub home, ResumeStore store, Forwarder forwarder, Cursors cursors) {
    this.home = home;
    this.store = store;
    this.forwarder = forwarder;
    this.cursors = cursors;
  }

  /**
   * @return the connection as it goes on here, or empty if there is nothing to go on with
   */
  CompletionStage<Optional<ClientSession>> start(
      String id, ServedHub hub, Principal principal, Credential credential) {
    return store
        .find(id)
        .thenCompose(
            found -> {
              if (found.isEmpty()
                  || (found.get().owner().equals(home.nodeId()) && home.ghost(id) == null)) {
                return CompletableFuture.completedFuture(Optional.empty());
              }
              Kept before = found.get();
              // The cursor is read before the record is taken: until then the record has all that
              // the events up to the cursor have led to.
              return forwarder
                  .release(before.owner(), id)
                  .thenCompose(released -> cursors.of(store, before.owner()))
                  .thenCompose(
                      cursor ->
                          store
                              .takeOver(
                                  id, home.nodeId(), home.settings().resumeWindow().multipliedBy(2))
                              .thenApply(
                                  kept ->
                                      kept.map(
                                          it -> goOn(id, hub, principal, credential, it, cursor))));
            });
  }

  private ClientSession goOn(
      String id,
      ServedHub hub,
      Principal principal,
      Credential credential,
      Kept kept,
      Map<Integer, Position> cursor) {
    Backplane backplane = home.bus().backplane();
    if (backplane == null) {
      throw new IllegalStateException("there is no backplane now");
    }
    Facts facts = Facts.of(kept.facts());
    Map<Integer, Position> from = new HashMap<>(facts.positions());
    if (!facts.isReleased()) {
      cursor.forEach((partition, at) -> from.merge(partition, at, Takeover::later));
    }
    // A partition that began after the other backend had looked: all of it is news.
    home.bus()
        .cursor()
        .forEach(
            (partition, at) -> from.putIfAbsent(partition, new Position(at.epoch(), partition, 0)));
    ClientSession session = new ClientSession(home, hub, id, principal, credential, true);
    session.restore(kept, facts);
    CatchUp catchUp = new CatchUp(session, home.bus(), from, home.bus()::cursor);
    session.begin(catchUp);
    catchUp.start(backplane);
    log.info(
        "connection {} of hub {} goes on here; {} messages had not been acknowledged",
        id,
        hub.name(),
        kept.messages().size());
    return session;
  }

  static Position later(Position one, Position other) {
    return one.epoch().equals(other.epoch()) && one.offset() > other.offset() ? one : other;
  }
}
