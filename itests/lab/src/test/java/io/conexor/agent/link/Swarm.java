package io.conexor.agent.link;

import io.conexor.api.Secret;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.api.link.BackendLinks.Handler;
import io.conexor.api.link.BackendLinks.Status;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntSupplier;

/**
 * Many agents in this process: the real links, each agent a run of its own with one link, and
 * behind them an answer to every query, which is its only parameter.
 */
public final class Swarm implements AutoCloseable {

  private static final List<Column> COLUMNS =
      List.of(new Column("echo", "INTEGER", false, null, "int8"));

  private final List<Links> agents = new ArrayList<>();
  private final Map<String, HttpDialer> dialers = new HashMap<>();

  /**
   * Starts them.
   *
   * @param keys taken in turn
   * @param sources served in turn, one by each agent
   */
  public Swarm(String url, List<String> keys, List<String> sources, int count) {
    for (int i = 0; i < count; i++) {
      Secret key = new Secret(keys.get(i % keys.size()));
      LinkSettings settings =
          new LinkSettings(
              LinkSettings.uri(url),
              key,
              "swarm-" + i,
              1,
              Optional.empty(),
              Tls.DEFAULTS,
              Duration.ofSeconds(5),
              Duration.ofSeconds(3),
              new Backoff(
                  Duration.ofMillis(500),
                  Duration.ofSeconds(5),
                  () -> ThreadLocalRandom.current().nextDouble()),
              1024 * 1024,
              Duration.ofSeconds(1),
              Duration.ofMillis(10));
      // One client for all with the same key: a client has threads of its own.
      HttpDialer dialer = dialers.computeIfAbsent(key.reveal(), unused -> settings.dialer());
      Links agent = new Links(settings, dialer::dial, System::nanoTime, "0.1.0");
      agent.offer(
          List.of(
              new SourceOffer(
                  sources.get(i % sources.size()),
                  "postgresql",
                  "15",
                  true,
                  1_000,
                  1_000_000,
                  4,
                  SourceOffer.State.UP,
                  "")));
      var unused = agent.serve(new Echo());
      agents.add(agent);
    }
  }

  /** How many have a link that is up. */
  public long attached() {
    return agents.stream().filter(each -> isUp(each.status())).count();
  }

  /** How many are linked to this backend. */
  public long attachedTo(String node) {
    return agents.stream()
        .filter(each -> isUp(each.status()) && each.status().get(0).node().equals(node))
        .count();
  }

  private static boolean isUp(List<Status> links) {
    return links.size() == 1 && links.get(0).state().equals("UP");
  }

  @Override
  public void close() {
    agents.forEach(Links::deactivate);
    dialers.values().forEach(HttpDialer::close);
  }

  private static final class Echo implements Handler {

    @Override
    public void message(BackendLink link, ByteBuffer message) {
      if (AgentDecoder.fromBackend(new FrameReader().message(message))
          instanceof AgentMessage.Query query) {
        ResultWriter writer = new ResultWriter(query.callId(), 10_000);
        writer.columns(COLUMNS);
        writer.rows().row(1);
        writer.rows().integer((Long) query.parameters().get(0));
        ByteBuffer answer =
            writer.finish(new CallEnd(query.callId(), CallStatus.DONE, 1, false, 1, null));
        link.send(answer.array(), answer.position(), answer.remaining());
      }
    }

    @Override
    public void closed(BackendLink link) {}

    @Override
    public IntSupplier inFlight() {
      return () -> 0;
    }
  }
}
