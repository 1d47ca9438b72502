package io.conexor.events;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.Subscription;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubClients;
import io.conexor.api.hub.HubConnection;
import io.conexor.api.node.Node;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells each organisation's people which agents are attached. The protocol is in the README. */
@Component(service = Hub.class)
public final class EventsHub implements Hub {
  static final String AGENTS = "agents";

  private static final Logger log = LoggerFactory.getLogger(EventsHub.class);
  private static final long PAUSE_MS = 250;

  private final AgentDirectory directory;
  private final Node node;
  private final ScheduledExecutorService teller;
  private final Subscription changes;
  private final Map<OrgId, Set<HubConnection>> listeners = new ConcurrentHashMap<>();

  /**
   * Organisations about to be told; added by whoever changes the directory, taken by the teller.
   */
  private final Set<OrgId> changed = ConcurrentHashMap.newKeySet();

  /** What was told last; owned by the teller. */
  private final Map<OrgId, List<@Nullable Object>> told = new ConcurrentHashMap<>();

  @Activate
  public EventsHub(
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "node") Node node) {
    this.directory = directory;
    this.node = node;
    this.teller =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-events-teller");
              thread.setDaemon(true);
              return thread;
            });
    this.changes = directory.onChange(this::changed);
  }

  @Deactivate
  void close() {
    changes.close();
    teller.shutdownNow();
  }

  @Override
  public String name() {
    return "events";
  }

  @Override
  public Optional<String> refusal(Principal principal) {
    return principal instanceof Principal.User || principal instanceof Principal.AdminToken
        ? Optional.empty()
        : Optional.of("events are for people and administrators' tokens");
  }

  @Override
  public void attached(HubClients clients) {
    // Every backend tells its own connections what its own directory knows.
  }

  @Override
  public void opened(HubConnection connection) {
    listeners.compute(
        connection.principal().org(),
        (org, known) -> {
          Set<HubConnection> all = known == null ? ConcurrentHashMap.newKeySet() : known;
          all.add(connection);
          return all;
        });
    connection.send(AGENTS, List.of(agents(connection.principal().org())));
  }

  @Override
  public void closed(HubConnection connection, String reason) {
    listeners.computeIfPresent(
        connection.principal().org(),
        (org, all) -> {
          all.remove(connection);
          return all.isEmpty() ? null : all;
        });
  }

  @Override
  public void invoked(HubCall call) {
    switch (call.request().target()) {
      case AGENTS -> call.complete(agents(call.connection().principal().org()));
      case "node" -> call.complete(node.id().value());
      default -> call.fail("there is no method '" + call.request().target() + "'");
    }
  }

  private void changed(OrgId org) {
    if (listeners.containsKey(org) && changed.add(org)) {
      try {
        var unused = teller.schedule(() -> tell(org), PAUSE_MS, MILLISECONDS);
      } catch (RejectedExecutionException stopped) {
        log.debug("a change is not told, the hub stops");
      }
    }
  }

  private void tell(OrgId org) {
    try {
      changed.remove(org);
      Set<HubConnection> all = listeners.get(org);
      if (all == null) {
        told.remove(org);
        return;
      }
      List<@Nullable Object> agents = agents(org);
      if (!agents.equals(told.put(org, agents))) {
        all.forEach(connection -> connection.send(AGENTS, List.of(agents)));
      }
    } catch (RuntimeException e) {
      log.error("telling what changed failed; going on", e);
    }
  }

  private List<@Nullable Object> agents(OrgId org) {
    return Agents.described(directory.attached(org));
  }
}
