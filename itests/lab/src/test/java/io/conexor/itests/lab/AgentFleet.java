package io.conexor.itests.lab;

import io.conexor.api.database.LocalPostgres;
import io.conexor.api.redis.RedisEndpoints.Mode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * Three backends behind the balancer with the configuration that the archive ships, three agents on
 * one database: one installation for all test classes of a run that register it. Before each test
 * what an earlier one broke is mended.
 *
 * <p>Each agent reaches the balancer, and the database, through a net of its own. A fourth agent
 * serves a source of its own and has one link only, so that most calls to it are relayed.
 */
final class AgentFleet implements BeforeAllCallback, BeforeEachCallback {

  /** Nine processes on two cores: what is compiled least is compiled soonest. */
  static final String JVM = "-Xmx192m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

  /** Calls that each backend may have under way; the least there is. */
  static final int CALLS_MAX = 16;

  /** A request with this header, and 0 in it, goes to the first backend while that one lives. */
  static final String FIRST = "X-Lab-Server";

  private static final List<String> NAMES = List.of("berlin", "munich", "vienna");

  /** An agent, and the nets it uses. */
  record Member(
      Tenant.Agent key, AgentProcess process, TcpRelay toBackends, TcpRelay toDatabase, int links) {

    String name() {
      return key.name();
    }

    private void mend() {
      toBackends.refuse(false);
      toDatabase.refuse(false);
      toDatabase.delay(Duration.ZERO);
      if (!process.isAlive()) {
        process.start();
      }
    }

    private void close() {
      process.close();
      toBackends.close();
      toDatabase.close();
    }
  }

  private static final class Running implements ExtensionContext.Store.CloseableResource {
    private final RedisLab redis = RedisLab.start(Mode.STANDALONE);
    private final LocalPostgres database = LocalPostgres.start();
    private final List<Member> members = new ArrayList<>();
    private final Fleet fleet;
    private final Tenant tenant;

    private final Tenant.McpServer mcp;
    private final Member far;

    Running() {
      FactLoad.facts(database);
      fleet =
          Fleet.of(3, redis)
              .jvm(JVM)
              .set("mcp.query.timeout.ms", "110000")
              .set("mcp.stream.after.ms", "1500")
              .shippedBalancer(
                  lines -> lines + "  use-server backend-0 if { req.hdr(" + FIRST + ") 0 }\n")
              .set("dispatch.calls.max", Integer.toString(CALLS_MAX))
              .start();
      tenant = fleet.setUp("acme");
      NAMES.forEach(name -> members.add(member(name, 3, FactLoad.NEAR, "ledger")));
      far = member("far", 1, FactLoad.FAR);
      mcp = tenant.mcpServer("facts", List.of(FactLoad.NEAR));
    }

    private Member member(String name, int links, String... sources) {
      Tenant.Agent key = tenant.agent(name);
      TcpRelay toBackends = TcpRelay.to(fleet.balancerPort());
      TcpRelay toDatabase = TcpRelay.to(database.port());
      AgentProcess.Builder agent =
          AgentProcess.of(toBackends.url(), key)
              .set("agent.link.links.max", Integer.toString(links))
              .jvm(JVM);
      for (String source : sources) {
        agent
            .source(
                source, "jdbc:postgresql://127.0.0.1:" + toDatabase.port() + "/conexor", "conexor")
            .set("agent.executor.source~" + source + ".functions.allowed", "pg_sleep")
            .set("agent.executor.source~" + source + ".max.time.ms", "120000")
            .set(
                "agent.executor.source~" + source + ".read.only",
                Boolean.toString(!source.equals("ledger")));
      }
      return new Member(key, agent.start(), toBackends, toDatabase, links);
    }

    @Override
    public void close() {
      members.forEach(Member::close);
      far.close();
      fleet.close();
      database.close();
      redis.close();
    }
  }

  private Running running;

  @Override
  public void beforeAll(ExtensionContext context) {
    running =
        context
            .getRoot()
            .getStore(Namespace.create(AgentFleet.class))
            .getOrComputeIfAbsent("fleet", key -> new Running(), Running.class);
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    mend();
  }

  /** Starts what is dead, heals the nets, and waits for all links. */
  void mend() {
    for (Backend backend : backends()) {
      if (!backend.isAlive()) {
        backend.start();
      }
    }
    members().forEach(Member::mend);
    running.far.mend();
    awaitLinks();
  }

  /** Waits until each backend knows of all links. */
  void awaitLinks() {
    for (Backend backend : backends()) {
      for (Member member : members()) {
        backend.awaitLinks(tenant(), member.key().id(), member.links());
      }
      backend.awaitLinks(tenant(), running.far.key().id(), 1);
    }
  }

  List<Backend> backends() {
    return running.fleet.backends();
  }

  /** Those that serve the same sources. */
  List<Member> members() {
    return running.members;
  }

  /** The one with one link, which serves a source of its own. */
  Member far() {
    return running.far;
  }

  /** Talks to the balancer. */
  Tenant tenant() {
    return running.tenant;
  }

  /** Another organisation of the same installation. */
  Tenant anotherTenant(String organisation) {
    return running.fleet.another(organisation);
  }

  /** Starts people who query. */
  FactLoad load(int people) {
    return FactLoad.start(running.tenant, running.mcp, people);
  }

  LocalPostgres database() {
    return running.database;
  }

  static void pass(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (System.nanoTime() - end < 0) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }
}
