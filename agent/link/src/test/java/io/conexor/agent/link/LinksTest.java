package io.conexor.agent.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.conexor.api.Secret;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.api.link.BackendLinks.BackendLink;
import io.conexor.api.link.BackendLinks.Status;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.agent.ResultWriter;
import io.conexor.protocol.hub.FrameReader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import org.awaitility.core.ConditionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Links over real sockets to a backend that is played by a script. */
class LinksTest {
  private static final Duration LIVENESS = Duration.ofMillis(900);

  private final ScriptedHandler handler = new ScriptedHandler();
  private final List<Links> started = new ArrayList<>();
  private ScriptedBackend backend;

  @BeforeEach
  void start() throws Exception {
    backend = new ScriptedBackend(0);
  }

  @AfterEach
  void stop() throws Exception {
    started.forEach(Links::deactivate);
    backend.close();
  }

  @Test
  void nothing_is_dialled_before_someone_serves_calls() {
    Links links = links(backend.port());
    eventually().during(Duration.ofMillis(300)).until(() -> backend.linkedHeaders.isEmpty());

    links.serve(handler);

    eventually().until(() -> isUp(links, 1));
  }

  @Test
  void a_link_says_hello_with_its_sources_and_comes_up() {
    Links links = links(backend.port());
    links.offer(List.of(offer("sales", SourceOffer.State.UP)));
    links.serve(handler);

    eventually().until(() -> isUp(links, 1));
    assertThat(links.status().get(0).node()).isEqualTo("node-1");
    ScriptedBackend.Client client = backend.clients.get(0);
    assertThat(client.key).isEqualTo("pk_test");
    AgentMessage.Hello hello = client.heard(AgentMessage.Hello.class).get(0);
    assertThat(hello.agentName()).isEqualTo("berlin-3");
    assertThat(hello.sources()).extracting(AgentMessage.Source::name).containsExactly("sales");
    assertThat(hello.epoch()).isEqualTo(1);
  }

  @Test
  void heartbeats_tell_load_and_states_and_a_changed_offer_says_hello_again() {
    Links links = upLinks();
    handler.inFlight.set(7);
    links.offer(List.of(offer("stock", SourceOffer.State.DOWN)));

    ScriptedBackend.Client client = backend.clients.get(0);
    eventually()
        .untilAsserted(
            () -> {
              List<AgentMessage.Heartbeat> beats = client.heard(AgentMessage.Heartbeat.class);
              assertThat(beats).isNotEmpty();
              AgentMessage.Heartbeat last = beats.get(beats.size() - 1);
              assertThat(last.inFlight()).isEqualTo(7);
              assertThat(last.sources())
                  .containsExactly(new AgentMessage.SourceState("stock", "DOWN", "why"));
            });
    assertThat(client.heard(AgentMessage.Hello.class)).hasSize(2);
  }

  @Test
  void calls_reach_the_handler_and_answers_go_back() {
    upLinks();
    ScriptedBackend.Client client = backend.clients.get(0);
    client.say(new AgentMessage.Schema(42, "sales", 1000, 4));
    client.say(new AgentMessage.Credit(42, 3));
    client.say(new AgentMessage.Cancel(42));

    eventually().until(() -> handler.messages.size() == 3);
    assertThat(handler.messages)
        .containsExactly(
            new AgentMessage.Schema(42, "sales", 1000, 4),
            new AgentMessage.Credit(42, 3),
            new AgentMessage.Cancel(42));

    ByteBuffer answer = new ResultWriter(42, 1 << 20).finish(end(42));
    assertThat(handler.link.send(answer.array(), answer.position(), answer.remaining())).isTrue();
    eventually().until(() -> client.heard(AgentMessage.CallEnd.class).equals(List.of(end(42))));
  }

  @Test
  void messages_larger_than_the_clients_buffer_arrive_whole() {
    upLinks();
    String sql = "é".repeat(500_000);
    AgentMessage.Query query =
        new AgentMessage.Query(1, "s", sql, List.of(), 1, 1, 1, 1, "q", null);

    backend.clients.get(0).say(query);

    eventually().until(() -> handler.messages.equals(List.of(query)));
  }

  @ParameterizedTest
  @CsvSource({
    "401,check `key`",
    "403,pk_",
    "404,check backend.url",
    "503,no backend takes links now"
  })
  void a_refusal_says_what_to_do_and_dialling_goes_on(int status, String advice) {
    backend.refuseWith = status;
    Links links = links(backend.port());
    links.serve(handler);
    eventually().until(() -> reason(links).contains(advice));

    backend.refuseWith = 0;

    eventually().until(() -> isUp(links, 1));
  }

  @Test
  void a_backend_that_is_not_there_says_so() throws Exception {
    int port = backend.port();
    backend.close();
    Links links = links(port);
    links.serve(handler);

    eventually().until(() -> reason(links).contains("is not reachable"));
  }

  @Test
  void a_restarted_backend_is_found_again() throws Exception {
    Links links = upLinks();
    int port = backend.port();
    backend.clients.get(0).say(new AgentMessage.Schema(1, "s", 1, 1));
    eventually().until(() -> handler.link != null);

    backend.close();
    eventually().until(() -> links.status().stream().noneMatch(s -> s.state().equals("UP")));
    assertThat(handler.closed).containsExactly(handler.link);

    backend = new ScriptedBackend(port);
    eventually().until(() -> isUp(links, 1));
    assertThat(backend.clients.get(0).heard(AgentMessage.Hello.class).get(0).epoch())
        .isGreaterThan(1);
  }

  @Test
  void a_backend_that_stops_answering_is_noticed() {
    upLinks();
    ScriptedBackend.Client client = backend.clients.get(0);
    client.say(new AgentMessage.Schema(1, "s", 1, 1));
    eventually().until(() -> handler.link != null);

    client.isMute = true;

    eventually().until(() -> handler.closed.equals(List.of(handler.link)));
  }

  @Test
  void a_backend_that_never_welcomes_is_given_up() {
    backend.isWelcoming = false;
    Links links = links(backend.port());
    links.serve(handler);

    eventually().until(() -> reason(links).contains("no welcome within"));
  }

  @Test
  void links_go_to_as_many_backends_as_there_are_each_to_another() {
    AtomicInteger turn = new AtomicInteger();
    backend.route =
        () -> "node-" + (1 + turn.getAndIncrement() / 2 % 4); // each node twice in a row
    backend.fleetSize = 4;
    Links links = links(backend.port());
    links.serve(handler);

    eventually().until(() -> isUp(links, 3));
    assertThat(links.status()).extracting(Status::node).doesNotHaveDuplicates().doesNotContain("");
    assertThat(links.status()).extracting(Status::number).containsExactly(1, 2, 3);
    assertThat(backend.linkedHeaders).contains("node-1");
  }

  @Test
  void when_the_fleet_grows_a_link_is_added() {
    AtomicInteger turn = new AtomicInteger();
    backend.route = () -> "node-" + (1 + turn.getAndIncrement() % 2);
    Links links = upLinks();

    backend.fleetSize = 2;
    backend.clients.get(0).say(new AgentMessage.Welcome(1, "node-1", "1", 2, 100, "agent-1"));

    eventually().until(() -> isUp(links, 2));
  }

  @Test
  void a_draining_backend_is_replaced_and_serves_what_it_has() {
    Links links = upLinks();
    ScriptedBackend.Client draining = backend.clients.get(0);
    backend.route = () -> "node-2";

    draining.say(new AgentMessage.Closing("shutting down"));

    eventually().until(() -> isUp(links, 1) && backend.clients.size() == 2);
    assertThat(links.status()).extracting(Status::state).containsExactlyInAnyOrder("CLOSING", "UP");
    draining.say(new AgentMessage.Schema(9, "s", 1, 1));
    eventually().until(() -> handler.messages.size() == 1);

    draining.session.close();
    eventually().until(() -> links.status().size() == 1);
    assertThat(links.status().get(0).node()).isEqualTo("node-2");
  }

  @Test
  void a_closed_link_says_what_the_backend_said() {
    Links links = upLinks();
    backend.refuseWith = 503;

    backend
        .clients
        .get(0)
        .say(new AgentMessage.Close("the agent's key is refused: revoked", false));

    eventually().until(() -> !isUp(links, 1));
    backend.refuseWith = 0;
    eventually().until(() -> isUp(links, 1));
  }

  @Test
  void malformed_frames_cut_the_link_and_it_is_dialled_again() {
    Links links = upLinks();
    ScriptedBackend.Client client = backend.clients.get(0);

    client.send(new byte[] {3, (byte) 0xc1, 1, 2});

    eventually().until(() -> backend.clients.size() == 1 && backend.clients.get(0) != client);
    eventually().until(() -> isUp(links, 1));
  }

  @Test
  void what_the_handler_finds_malformed_cuts_the_link_too() {
    Links links = upLinks();
    ScriptedBackend.Client client = backend.clients.get(0);
    handler.failure = new ProtocolException("no", 1);

    client.say(new AgentMessage.Schema(9, "s", 1, 1));

    eventually().until(() -> !handler.closed.isEmpty());
    handler.failure = null;
    eventually().until(() -> isUp(links, 1));
  }

  @Test
  void a_drain_tells_the_backends_waits_for_calls_and_closes() throws Exception {
    Links links = upLinks();
    ScriptedBackend.Client client = backend.clients.get(0);
    handler.inFlight.set(1);

    CompletableFuture<Boolean> drained = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try {
                drained.complete(links.call());
              } catch (InterruptedException e) {
                drained.completeExceptionally(e);
              }
            });
    thread.start();
    eventually().until(() -> !client.heard(AgentMessage.Closing.class).isEmpty());
    eventually()
        .during(Duration.ofMillis(400))
        .until(() -> !drained.isDone() && client.closeCode == null);

    handler.inFlight.set(0);

    assertThat(drained.get(3, TimeUnit.SECONDS)).isTrue();
    eventually().until(() -> Integer.valueOf(1000).equals(client.closeCode));
    assertThat(links.status()).isEmpty();
  }

  @Test
  void a_link_that_comes_up_during_a_drain_is_told_of_it() throws Exception {
    backend.isWelcoming = false;
    Links links = links(backend.port());
    links.serve(handler);
    handler.inFlight.set(1);
    eventually().until(() -> !backend.clients.isEmpty());
    ScriptedBackend.Client client = backend.clients.get(0);
    eventually().until(() -> !client.heard(AgentMessage.Hello.class).isEmpty());
    Thread drainer =
        new Thread(
            () -> {
              try {
                links.call();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    drainer.start();
    eventually().until(() -> drainer.getState() == Thread.State.TIMED_WAITING);

    client.say(new AgentMessage.Welcome(1, "node-1", "1", 1, 100, "agent-1"));

    eventually().until(() -> !client.heard(AgentMessage.Closing.class).isEmpty());
    handler.inFlight.set(0);
    drainer.join(3_000);
    assertThat(drainer.isAlive()).isFalse();
  }

  @Test
  void a_certificate_that_nobody_trusts_says_so_and_one_from_the_ca_file_does(@TempDir Path dir)
      throws Exception {
    Path store = dir.resolve("server.p12");
    Path ca = dir.resolve("ca.pem");
    keyPair(store, "CN=127.0.0.1");
    certificate(store, ca);
    SslContextFactory.Server tls = new SslContextFactory.Server();
    tls.setKeyStorePath(store.toString());
    tls.setKeyStorePassword("secret");
    try (ScriptedBackend secure = new ScriptedBackend(0, tls)) {
      Links distrusting = links("https://127.0.0.1:" + secure.port(), Tls.DEFAULTS);
      distrusting.serve(handler);
      eventually().until(() -> reason(distrusting).contains("check tls.ca.file"));

      Links trusting =
          links(
              "https://127.0.0.1:" + secure.port(),
              new Tls(ca.toString(), "", new Secret(""), "", new Secret("")));
      trusting.serve(new ScriptedHandler());
      eventually().until(() -> isUp(trusting, 1));
      assertThat(Files.readString(ca)).contains("BEGIN CERTIFICATE");
    }
  }

  @Test
  void a_backend_that_wants_a_client_certificate_gets_the_configured_one(@TempDir Path dir)
      throws Exception {
    Path store = dir.resolve("server.p12");
    Path ca = dir.resolve("ca.pem");
    Path own = dir.resolve("agent.p12");
    Path known = dir.resolve("known.p12");
    keyPair(store, "CN=127.0.0.1");
    certificate(store, ca);
    keyPair(own, "CN=berlin-3");
    certificate(own, dir.resolve("agent.pem"));
    keytool(
        "-importcert",
        "-noprompt",
        "-keystore",
        known.toString(),
        "-storepass",
        "secret",
        "-alias",
        "a",
        "-file",
        dir.resolve("agent.pem").toString());
    SslContextFactory.Server tls = new SslContextFactory.Server();
    tls.setKeyStorePath(store.toString());
    tls.setKeyStorePassword("secret");
    tls.setTrustStorePath(known.toString());
    tls.setTrustStorePassword("secret");
    tls.setNeedClientAuth(true);
    try (ScriptedBackend strict = new ScriptedBackend(0, tls)) {
      String url = "https://127.0.0.1:" + strict.port();
      Links nameless = links(url, new Tls(ca.toString(), "", new Secret(""), "", new Secret("")));
      nameless.serve(handler);
      Links named =
          links(
              url,
              new Tls(ca.toString(), "", new Secret(""), own.toString(), new Secret("secret")));
      named.serve(new ScriptedHandler());

      eventually().until(() -> isUp(named, 1));
      assertThat(isUp(nameless, 0)).isTrue();
    }
  }

  @Test
  void a_link_goes_through_a_proxy_that_wants_a_login() throws Exception {
    try (ScriptedProxy proxy = new ScriptedProxy("berlin", "s3cret")) {
      Links right =
          links(
              "http://127.0.0.1:" + backend.port(),
              Tls.DEFAULTS,
              Optional.of(new HttpProxy(proxy.address(), "berlin", new Secret("s3cret"))));
      right.serve(handler);

      eventually().until(() -> isUp(right, 1));
      assertThat(proxy.tunnels()).isPositive();
      assertThat(backend.headers).noneMatch(each -> each.startsWith("proxy-authorization"));
    }
  }

  @Test
  void a_proxy_that_refuses_the_login_says_which_setting() throws Exception {
    try (ScriptedProxy proxy = new ScriptedProxy("berlin", "s3cret")) {
      Links wrong =
          links(
              "http://127.0.0.1:" + backend.port(),
              Tls.DEFAULTS,
              Optional.of(new HttpProxy(proxy.address(), "berlin", new Secret("other"))));
      wrong.serve(handler);

      eventually().until(() -> reason(wrong).contains("check proxy.user and proxy.password"));
      assertThat(proxy.tunnels()).isZero();
    }
  }

  private static void keyPair(Path store, String name) throws Exception {
    keytool(
        "-genkeypair",
        "-keystore",
        store.toString(),
        "-storepass",
        "secret",
        "-alias",
        "s",
        "-keyalg",
        "EC",
        "-dname",
        name,
        "-ext",
        "san=ip:127.0.0.1",
        "-storetype",
        "PKCS12");
  }

  private static void certificate(Path store, Path file) throws Exception {
    keytool(
        "-exportcert",
        "-rfc",
        "-keystore",
        store.toString(),
        "-storepass",
        "secret",
        "-alias",
        "s",
        "-file",
        file.toString());
  }

  private static void keytool(String... args) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(Arrays.asList(args));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor()).as(output).isZero();
  }

  private Links upLinks() {
    Links links = links(backend.port());
    links.serve(handler);
    eventually().until(() -> isUp(links, 1));
    return links;
  }

  private Links links(int port) {
    return links("http://127.0.0.1:" + port, Tls.DEFAULTS);
  }

  private Links links(String url, Tls tls) {
    return links(url, tls, Optional.empty());
  }

  private Links links(String url, Tls tls, Optional<HttpProxy> proxy) {
    LinkSettings settings =
        new LinkSettings(
            LinkSettings.uri(url),
            new Secret("pk_test"),
            "berlin-3",
            3,
            proxy,
            tls,
            Duration.ofMillis(600),
            LIVENESS,
            new Backoff(Duration.ofMillis(20), Duration.ofMillis(200), Math::random),
            1 << 20,
            Duration.ofSeconds(10),
            Duration.ofMillis(100));
    Links links = new Links(settings, settings.dialer(), System::nanoTime, "0.1.0");
    started.add(links);
    return links;
  }

  private static boolean isUp(BackendLinks links, int count) {
    return links.status().stream().filter(status -> status.state().equals("UP")).count() == count;
  }

  private static String reason(BackendLinks links) {
    return links.status().stream().map(Status::reason).findFirst().orElse("");
  }

  private static SourceOffer offer(String name, SourceOffer.State state) {
    return new SourceOffer(name, "postgresql", "15", true, 100, 1000, 4, state, "why");
  }

  private static AgentMessage.CallEnd end(int callId) {
    return new AgentMessage.CallEnd(callId, AgentMessage.CallStatus.DONE, 0, false, 1, null);
  }

  private static ConditionFactory eventually() {
    return await().atMost(Duration.ofSeconds(5)).pollInterval(Duration.ofMillis(10));
  }

  private static final class ScriptedHandler implements BackendLinks.Handler {
    final List<AgentMessage> messages = new CopyOnWriteArrayList<>();
    final List<BackendLink> closed = new CopyOnWriteArrayList<>();
    final AtomicInteger inFlight = new AtomicInteger();
    volatile BackendLink link;
    volatile RuntimeException failure;

    @Override
    public void message(BackendLink from, ByteBuffer message) {
      link = from;
      if (failure != null) {
        throw failure;
      }
      messages.add(AgentDecoder.fromBackend(new FrameReader().message(message)));
    }

    @Override
    public void closed(BackendLink which) {
      closed.add(which);
    }

    @Override
    public IntSupplier inFlight() {
      return inFlight::get;
    }
  }
}
