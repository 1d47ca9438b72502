package io.conexor.hub.clients;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.hub.Audience;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.HubClients;
import io.conexor.protocol.hub.HubMessage;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** A contributed hub, and its connections on this backend. */
final class ServedHub implements HubClients {
  private final ClientHub home;
  private final Hub hub;
  private final String name;
  private final Map<String, ClientSession> sessions = new ConcurrentHashMap<>();
  private final Map<String, Set<ClientSession>> groups = new ConcurrentHashMap<>();
  private final Map<String, Set<ClientSession>> users = new ConcurrentHashMap<>();

  ServedHub(ClientHub home, Hub hub) {
    this.home = home;
    this.hub = hub;
    this.name = hub.name();
  }

  Hub hub() {
    return hub;
  }

  String name() {
    return name;
  }

  Collection<ClientSession> sessions() {
    return sessions.values();
  }

  // Called by sessions, each from its own tasks.

  void add(ClientSession session) {
    sessions.put(session.id(), session);
    put(users, session.principal().subject(), session);
    session.groups().forEach(group -> put(groups, group, session));
  }

  void remove(ClientSession session) {
    sessions.remove(session.id(), session);
    take(users, session.principal().subject(), session);
    session.groups().forEach(group -> take(groups, group, session));
  }

  void joined(ClientSession session, String group) {
    put(groups, group, session);
  }

  void left(ClientSession session, String group) {
    take(groups, group, session);
  }

  private static void put(
      Map<String, Set<ClientSession>> index, String name, ClientSession session) {
    index.compute(
        name,
        (unused, members) -> {
          Set<ClientSession> all = members == null ? ConcurrentHashMap.newKeySet() : members;
          all.add(session);
          return all;
        });
  }

  private static void take(
      Map<String, Set<ClientSession>> index, String name, ClientSession session) {
    index.computeIfPresent(
        name,
        (unused, members) -> {
          members.remove(session);
          return members.isEmpty() ? null : members;
        });
  }

  /** The connections here that a message is for; {@code kind} as in {@link Bus}. */
  Collection<ClientSession> members(String kind, String member, @Nullable ClientSession only) {
    Collection<ClientSession> all =
        switch (kind) {
          case "a" -> sessions.values();
          case "g" -> groups.getOrDefault(member, Set.of());
          case "u" -> users.getOrDefault(member, Set.of());
          default -> {
            ClientSession one = sessions.get(member);
            yield one == null ? Set.of() : Set.of(one);
          }
        };
    return only == null ? all : all.contains(only) ? Set.of(only) : Set.of();
  }

  @Override
  public CompletionStage<Void> send(Audience to, String target, List<@Nullable Object> arguments) {
    HubMessage message = new HubMessage.Invocation(null, target, arguments);
    if (to instanceof Audience.Connection one) {
      ClientSession session = sessions.get(one.id());
      if (session != null) {
        session.write(new Outgoing(message));
        return CompletableFuture.completedFuture(null);
      }
    }
    return home.bus().send(name, to, message);
  }

  @Override
  public CompletionStage<@Nullable Object> invoke(
      String connection, String target, List<@Nullable Object> arguments, Duration timeout) {
    Asking asking = home.ask(timeout, target, connection);
    HubMessage message = new HubMessage.Invocation(asking.id(), target, arguments);
    ClientSession session = sessions.get(connection);
    if (session != null) {
      session.ask(new Outgoing(message), asking.id());
    } else {
      var unused =
          home.bus()
              .send(name, new Audience.Connection(connection), message)
              .exceptionally(
                  failure -> {
                    asking.answer().completeExceptionally(failure);
                    return null;
                  });
    }
    return asking.answer();
  }

  /** A question to a client that waits for its answer. */
  record Asking(String id, CompletableFuture<@Nullable Object> answer) {
    void answered(HubMessage.Completion completion) {
      String error = completion.error();
      if (error == null) {
        answer.complete(completion.result());
      } else {
        answer.completeExceptionally(
            new ConexorException(Blame.CALLER, Applied.UNKNOWN, "client_failed", error));
      }
    }
  }

  @Override
  public CompletionStage<Void> join(String connection, String group) {
    return membership(connection, group, true);
  }

  @Override
  public CompletionStage<Void> leave(String connection, String group) {
    return membership(connection, group, false);
  }

  private CompletionStage<Void> membership(String connection, String group, boolean join) {
    ClientSession session = sessions.get(connection);
    if (session == null) {
      return home.bus().group(name, connection, group, join);
    }
    if (join) {
      session.join(group);
    } else {
      session.leave(group);
    }
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<Void> close(String connection, String reason, boolean mayReconnect) {
    ClientSession session = sessions.get(connection);
    if (session == null) {
      return home.bus().close(name, connection, reason, mayReconnect);
    }
    session.close(reason, mayReconnect);
    return CompletableFuture.completedFuture(null);
  }
}
