package io.conexor.hub.clients;

import io.conexor.api.access.Principal;
import io.conexor.api.hub.Audience;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubClients;
import io.conexor.api.hub.HubConnection;
import io.conexor.api.hub.Upload;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/** A hub that does everything a hub can do. */
final class EchoHub implements Hub {
  private final String node;
  final List<String> log = new CopyOnWriteArrayList<>();
  final Map<String, HubConnection> connections = new ConcurrentHashMap<>();
  final Map<String, HubCall> held = new ConcurrentHashMap<>();
  private volatile @Nullable HubClients clients;

  EchoHub(String node) {
    this.node = node;
  }

  HubClients clients() {
    HubClients current = clients;
    if (current == null) {
      throw new IllegalStateException("not attached");
    }
    return current;
  }

  @Override
  public String name() {
    return "echo";
  }

  @Override
  public Optional<String> refusal(Principal principal) {
    return principal instanceof Principal.AgentKey
        ? Optional.of("agents have a hub of their own")
        : Optional.empty();
  }

  @Override
  public void attached(HubClients newClients) {
    clients = newClients;
  }

  @Override
  public void opened(HubConnection connection) {
    connections.put(connection.id(), connection);
    log.add("opened");
  }

  @Override
  public void closed(HubConnection connection, String reason) {
    connections.remove(connection.id(), connection);
    log.add("closed: " + reason);
  }

  @Override
  public void invoked(HubCall call) {
    HubCall.Request request = call.request();
    List<@Nullable Object> args = request.arguments();
    HubConnection me = call.connection();
    switch (request.target()) {
      case "Echo" -> call.complete(args.get(0));
      case "Node" -> call.complete(node);
      case "Me" -> call.complete(me.id());
      case "Note" -> log.add("noted " + args.get(0));
      case "Fail" -> call.fail("as you wish");
      case "Throw" -> throw new IllegalStateException("a secret detail");
      case "Count" -> count(call, 0, (Long) args.get(0));
      case "Endless" -> {
        call.onCancel(
            () -> {
              log.add("cancelled");
              call.complete(null);
            });
        count(call, 0, Long.MAX_VALUE);
      }
      case "Hold" -> {
        held.put(String.valueOf(args.get(0)), call);
        call.onCancel(() -> log.add("let go of " + args.get(0)));
      }
      case "Sum" -> {
        long[] sum = {0};
        request
            .uploads()
            .get(0)
            .receive(
                item -> sum[0] += (Long) item,
                error -> {
                  if (error.isPresent()) {
                    call.fail(error.get());
                  } else {
                    call.complete(sum[0]);
                  }
                });
      }
      case "Double" -> {
        Upload upload = request.uploads().get(0);
        upload.receive(
            item -> {
              var unused = call.item(2 * (Long) item);
            },
            error -> call.complete(null));
      }
      case "Join" -> {
        me.join((String) args.get(0));
        call.complete(null);
      }
      case "Leave" -> {
        me.leave((String) args.get(0));
        call.complete(null);
      }
      case "Groups" -> call.complete(new ArrayList<>(me.groups()));
      case "ToGroup" -> tell(call, new Audience.Group((String) args.get(0), Set.of()), args.get(1));
      case "ToOthers" -> tell(call, new Audience.Everyone(Set.of(me.id())), args.get(0));
      case "ToUser" -> tell(call, new Audience.User(me.principal().subject()), args.get(0));
      case "ToOne" -> tell(call, new Audience.Connection((String) args.get(0)), args.get(1));
      case "Ask" -> ask(call, (String) args.get(0), args.get(1));
      case "Close" -> me.close("closed on request", Boolean.TRUE.equals(args.get(0)));
      default -> call.fail("there is no method " + request.target());
    }
  }

  private static void count(HubCall call, long from, long to) {
    long at = from;
    while (at < to) {
      CompletionStage<Void> next = call.item(at++);
      if (!next.toCompletableFuture().isDone()) {
        long goOn = at;
        var unused = next.thenRun(() -> count(call, goOn, to));
        return;
      }
      if (next.toCompletableFuture().isCompletedExceptionally()) {
        return;
      }
    }
    call.complete(null);
  }

  private void tell(HubCall call, Audience to, @Nullable Object what) {
    finish(call, clients().send(to, "told", Arrays.asList(what)), null);
  }

  private void ask(HubCall call, String connection, @Nullable Object what) {
    var unused =
        clients()
            .invoke(connection, "asked", Arrays.asList(what), Duration.ofSeconds(10))
            .whenComplete(
                (answer, failure) -> {
                  if (failure == null) {
                    call.complete(answer);
                  } else {
                    call.fail(String.valueOf(failure.getMessage()));
                  }
                });
  }

  private static void finish(HubCall call, CompletionStage<Void> stage, @Nullable Object result) {
    var unused =
        stage.whenComplete(
            (done, failure) -> {
              if (failure == null) {
                call.complete(result);
              } else {
                call.fail(String.valueOf(failure.getMessage()));
              }
            });
  }
}
