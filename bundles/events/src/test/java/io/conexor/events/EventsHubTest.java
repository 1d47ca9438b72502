package io.conexor.events;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Subscription;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.hub.HubConnection;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The events hub with a scripted directory. */
class EventsHubTest {
  private static final OrgId ORG = new OrgId(UUID.randomUUID());
  private static final OrgId OTHER = new OrgId(UUID.randomUUID());
  private static final AgentId AGENT = new AgentId(UUID.randomUUID());

  private final Directory directory = new Directory();
  private final EventsHub hub =
      new EventsHub(
          directory,
          (Node)
              Proxy.newProxyInstance(
                  Node.class.getClassLoader(),
                  new Class<?>[] {Node.class},
                  (proxy, method, args) -> new NodeId("node-a")));

  @AfterEach
  void close() {
    hub.close();
  }

  @Test
  void who_connects_is_told_at_once_and_then_of_changes_in_its_organisation_only() {
    Listener mine = new Listener(ORG);
    Listener theirs = new Listener(OTHER);
    hub.opened(mine);
    hub.opened(theirs);
    assertThat(mine.told).containsExactly(List.of());

    directory.set(
        List.of(
            link(1, "node-a", SourceOffer.State.DOWN), link(2, "node-b", SourceOffer.State.UP)));

    await().atMost(Duration.ofSeconds(10)).until(() -> mine.told.size() == 2);
    Map<?, ?> agent = (Map<?, ?>) mine.told.get(1).get(0);
    assertThat(agent.get("name")).isEqualTo("berlin");
    assertThat(agent.get("links")).isEqualTo(2L);
    assertThat(agent.get("nodes")).isEqualTo(List.of("node-a", "node-b"));
    assertThat(agent.get("sources").toString()).contains("name=shop").contains("state=UP");

    directory.set(List.of());
    await().atMost(Duration.ofSeconds(10)).until(() -> mine.told.size() == 3);
    assertThat(mine.told.get(2)).isEmpty();
    assertThat(theirs.told).hasSize(1);
  }

  @Test
  void a_change_nobody_can_see_is_not_told() {
    Listener mine = new Listener(ORG);
    directory.set(List.of(link(1, "node-a", SourceOffer.State.UP)));
    hub.opened(mine);
    directory.set(List.of(link(1, "node-a", SourceOffer.State.UP)));
    directory.set(List.of(link(1, "node-a", SourceOffer.State.DOWN)));
    await().atMost(Duration.ofSeconds(10)).until(() -> mine.told.size() == 2);

    directory.set(List.of(link(1, "node-a", SourceOffer.State.DOWN)));
    directory.set(List.of());
    await().atMost(Duration.ofSeconds(10)).until(() -> mine.told.size() == 3);
    assertThat(mine.told.get(2)).isEmpty();
  }

  @Test
  void agents_and_servers_keys_may_not_connect() {
    assertThat(hub.refusal(new Principal.AgentKey(ORG, KeyId.random(), AGENT, "berlin")))
        .isPresent();
    assertThat(hub.refusal(new Principal.AdminToken(ORG, KeyId.random(), "script"))).isEmpty();
  }

  private static Attachment link(long id, String node, SourceOffer.State state) {
    return new Attachment(
        ORG,
        AGENT,
        "berlin",
        "0.1.0",
        new UUID(0, 1),
        new NodeId(node),
        new LinkId(id),
        id,
        Instant.EPOCH,
        false,
        0,
        List.of(new SourceOffer("shop", "postgresql", "15", true, 10, 10, 1, state, "")));
  }

  private static final class Listener implements HubConnection {
    final List<List<?>> told = new CopyOnWriteArrayList<>();
    private final OrgId org;

    Listener(OrgId org) {
      this.org = org;
    }

    @Override
    public String id() {
      return org.toString();
    }

    @Override
    public Principal principal() {
      return new Principal.AdminToken(org, new KeyId(new UUID(0, 2)), "script");
    }

    @Override
    public Set<String> groups() {
      return Set.of();
    }

    @Override
    public void send(String target, List<Object> arguments) {
      assertThat(target).isEqualTo("agents");
      told.add((List<?>) arguments.get(0));
    }

    @Override
    public void join(String group) {}

    @Override
    public void leave(String group) {}

    @Override
    public void close(String reason, boolean mayReconnect) {}
  }

  private static final class Directory implements AgentDirectory {
    private final List<Consumer<OrgId>> listeners = new ArrayList<>();
    private volatile List<Attachment> attached = List.of();

    void set(List<Attachment> now) {
      attached = now;
      listeners.forEach(listener -> listener.accept(ORG));
    }

    @Override
    public List<Attachment> attached(OrgId org) {
      return org.equals(ORG) ? attached : List.of();
    }

    @Override
    public Subscription onChange(Consumer<OrgId> listener) {
      listeners.add(listener);
      return () -> listeners.remove(listener);
    }

    @Override
    public List<Attachment> serving(OrgId org, String source) {
      throw new UnsupportedOperationException();
    }

    @Override
    public List<Attachment> attached() {
      throw new UnsupportedOperationException();
    }

    @Override
    public int fleetSize() {
      return 1;
    }

    @Override
    public void announce(Attachment attachment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void withdraw(LinkId link, String reason) {
      throw new UnsupportedOperationException();
    }
  }
}
