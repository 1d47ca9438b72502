package io.conexor.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.agent.link.Links;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LocalLinks;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.AgentMessage.CallEnd;
import io.conexor.protocol.agent.AgentMessage.CallStatus;
import io.conexor.protocol.agent.AgentMessage.Column;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.rows.RowReader;
import java.lang.reflect.Constructor;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.IntSupplier;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The agent's links and the hub, each as it is, over real sockets. */
class LinkAndHubTest {
  private static final String KEY = "pk_one";
  private static final List<Column> COLUMNS =
      List.of(new Column("id", "INTEGER", false, null, "int4"));

  private final Fleet fleet = new Fleet();
  private AgentHub hub;
  private RouteServer server;
  private Links links;

  @BeforeEach
  void start() throws Exception {
    fleet.access.agent(KEY);
    startBackend(0);
  }

  @AfterEach
  void stop() throws Exception {
    if (links != null) {
      deactivate(links);
    }
    hub.deactivate();
    server.close();
  }

  @Test
  void an_agent_comes_up_and_the_directory_knows_its_sources() throws Exception {
    links = links(KEY);
    links.offer(
        List.of(new SourceOffer("sales", "h2", "2", true, 9, 9, 4, SourceOffer.State.UP, "")));
    links.serve(new Echo());

    eventually().until(() -> isUp() && attached().size() == 1);
    Attachment attachment = attached().get(0);
    assertThat(attachment.sources()).extracting(SourceOffer::name).containsExactly("sales");
    assertThat(links.status().get(0).node()).isEqualTo("node-1");
    // Many heartbeats later it is still there.
    eventually().during(Duration.ofMillis(1_500)).until(() -> isUp() && attached().size() == 1);
  }

  @Test
  void a_bad_key_is_told_and_a_good_one_is_taken_later() throws Exception {
    links = links("pk_later");
    links.serve(new Echo());
    eventually().until(() -> links.status().get(0).reason().contains("check `key`"));

    fleet.access.agent("pk_later");

    eventually().until(this::isUp);
  }

  @Test
  void a_restarted_backend_is_found_again() throws Exception {
    links = links(KEY);
    links.serve(new Echo());
    eventually().until(this::isUp);
    int port = server.port();

    hub.deactivate();
    server.close();
    eventually().until(() -> !isUp());
    assertThat(attached()).isEmpty();
    startBackend(port);

    eventually().until(() -> isUp() && attached().size() == 1);
  }

  @Test
  void a_revoked_key_ends_the_link_with_the_reason() throws Exception {
    links = links(KEY);
    links.serve(new Echo());
    eventually().until(this::isUp);

    fleet.access.refuse(KEY, "the key was revoked");

    eventually().until(() -> !isUp() && attached().isEmpty());
  }

  @Test
  void a_draining_agent_is_marked_and_goes_in_order() throws Exception {
    links = links(KEY);
    Echo echo = new Echo();
    links.serve(echo);
    eventually().until(() -> attached().size() == 1);
    echo.inFlight.set(1);
    ExecutorService drainer = Executors.newSingleThreadExecutor();
    try {
      var drained = drainer.submit(links::call);
      eventually().until(() -> attached().get(0).isClosing());
      assertThat(drained).isNotDone();

      echo.inFlight.set(0);

      assertThat(drained.get(5, TimeUnit.SECONDS)).isTrue();
      eventually().until(() -> attached().isEmpty());
    } finally {
      drainer.shutdownNow();
    }
  }

  /** Coalescing on both ends: every call is answered once, with its own row. */
  @Test
  void many_senders_on_one_link_get_all_their_answers_once() throws Exception {
    int senders = 4;
    int each = 5_000;
    AtomicIntegerArray answers = new AtomicIntegerArray(senders * each);
    CountDownLatch all = new CountDownLatch(senders * each);
    AtomicInteger wrong = new AtomicInteger();
    hub.listen(new Answers(answers, all, wrong));
    links = links(KEY);
    Echo echo = new Echo();
    links.serve(echo);
    eventually().until(() -> attached().size() == 1);
    AgentLink link = hub.find(attached().get(0).link()).orElseThrow();
    ExecutorService executor = Executors.newFixedThreadPool(senders);
    try {
      for (int s = 0; s < senders; s++) {
        int first = s * each;
        executor.execute(
            () -> {
              for (int id = first; id < first + each; id++) {
                byte[] query = query(id);
                while (!link.send(query, 0, query.length)) {
                  Thread.onSpinWait();
                }
              }
            });
      }

      assertThat(all.await(30, TimeUnit.SECONDS)).as("%s unanswered", all).isTrue();
      assertThat(wrong).hasValue(0);
      for (int i = 0; i < answers.length(); i++) {
        assertThat(answers.get(i)).isEqualTo(1);
      }
    } finally {
      executor.shutdownNow();
      echo.workers.shutdownNow();
    }
  }

  private void startBackend(int port) throws Exception {
    AgentHub.Settings settings =
        new AgentHub.Settings(
            Duration.ofMillis(100),
            Duration.ofSeconds(3),
            Duration.ofSeconds(5),
            4 << 20,
            64L << 20,
            100,
            4,
            Duration.ofMillis(500));
    hub = new AgentHub(fleet.access, fleet.directory, fleet.node, settings, System::nanoTime, true);
    server = new RouteServer(hub, port);
  }

  private boolean isUp() {
    return links.status().stream().anyMatch(status -> status.state().equals("UP"));
  }

  private List<Attachment> attached() {
    return fleet.directory.attached();
  }

  private static ConditionFactory eventually() {
    return await().atMost(Duration.ofSeconds(8)).pollInterval(Duration.ofMillis(10));
  }

  private static byte[] query(int callId) {
    GrowingBytes out = new GrowingBytes(128, 10_000);
    new AgentEncoder(out)
        .query(
            callId,
            "sales",
            "SELECT ?",
            List.of((long) callId),
            1,
            1_000,
            1_000,
            4,
            "q",
            null,
            AgentMessage.Life.LINK,
            0,
            "");
    return out.toByteArray();
  }

  /** As Declarative Services does it: the component's own constructor with a configuration. */
  private Links links(String key) throws Exception {
    Map<String, Object> values = new HashMap<>();
    values.put("backend_url", "http://127.0.0.1:" + server.port());
    values.put("key", key);
    values.put("backoff_initial_ms", 50L);
    values.put("backoff_max_ms", 300L);
    Constructor<?> constructor = Links.class.getConstructors()[0];
    Class<?> config = constructor.getParameterTypes()[0];
    Object proxy =
        Proxy.newProxyInstance(
            config.getClassLoader(),
            new Class<?>[] {config},
            (self, method, args) ->
                values.getOrDefault(method.getName(), method.getDefaultValue()));
    return (Links) constructor.newInstance(proxy);
  }

  private static void deactivate(Links links) throws Exception {
    var method = Links.class.getDeclaredMethod("deactivate");
    method.setAccessible(true);
    method.invoke(links);
  }

  /** An agent that answers each query with one row, the call's own number, from several threads. */
  private static final class Echo implements BackendLinks.Handler {
    final AtomicInteger inFlight = new AtomicInteger();
    final ExecutorService workers = Executors.newFixedThreadPool(2);

    @Override
    public void message(BackendLink link, ByteBuffer message) {
      if (AgentDecoder.fromBackend(new FrameReader().message(message))
          instanceof AgentMessage.Query query) {
        workers.execute(() -> answer(link, query));
      }
    }

    private static void answer(BackendLink link, AgentMessage.Query query) {
      ResultWriter writer = new ResultWriter(query.callId(), 10_000);
      writer.columns(COLUMNS);
      writer.rows().row(1);
      writer.rows().integer((Long) query.parameters().get(0));
      ByteBuffer answer =
          writer.finish(new CallEnd(query.callId(), CallStatus.DONE, 1, false, 1, null));
      while (!link.send(answer.array(), answer.position(), answer.remaining())) {
        Thread.onSpinWait();
      }
    }

    @Override
    public void closed(BackendLink link) {}

    @Override
    public IntSupplier inFlight() {
      return inFlight::get;
    }
  }

  private record Answers(AtomicIntegerArray answers, CountDownLatch all, AtomicInteger wrong)
      implements LocalLinks.Listener {
    @Override
    public void opened(AgentLink link) {}

    @Override
    public void message(AgentLink link, ByteBuffer message) {
      FrameReader frame = new FrameReader().message(message);
      if (frame.type() == HubMessage.COMPLETION) {
        CallEnd end = AgentDecoder.callEnd(frame);
        answers.incrementAndGet(end.callId());
        all.countDown();
      } else {
        AgentMessage.RowBatch batch = AgentDecoder.rowBatch(frame);
        var rows = new RowReader(batch.bytes(), batch.rowsOffset(), batch.rowsLength());
        if (!rows.nextRow() || rows.integer() != batch.callId()) {
          wrong.incrementAndGet();
        }
      }
    }

    @Override
    public void closed(AgentLink link, String reason) {}
  }
}
