package io.conexor.hub;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.conexor.api.access.Access.Authentication;
import io.conexor.api.access.KeyId;
import io.conexor.api.access.Principal;
import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.http.WebSocketRoute.Admission;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.agent.AgentMessage;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AgentHubTest {
  private static final String KEY = "pk_one";
  private static final LinkId FIRST = new LinkId(1);
  private static final LinkId SECOND = new LinkId(2);

  private final Fleet fleet = new Fleet();
  private final AgentId agent = fleet.access.agent(KEY);
  private final UUID process = UUID.randomUUID();

  // Admission

  @Test
  void a_request_without_a_key_is_rejected_with_what_to_send() {
    assertThat(fleet.admit(Map.of()))
        .isEqualTo(rejected(401, "an agent has to send its key in X-API-Key"));
  }

  @Test
  void a_refused_key_is_rejected_with_the_reason() {
    fleet.access.refuse("pk_old", "the key has expired");

    assertThat(fleet.admit(Map.of("X-API-Key", "pk_old")))
        .isEqualTo(rejected(401, "the key has expired"));
  }

  @Test
  void the_key_of_something_else_is_rejected() {
    fleet.access.answers.put(
        "mcp_x",
        CompletableFuture.completedFuture(
            new Authentication.Granted(
                new Principal.ServerKey(
                    Fleet.ORG,
                    new KeyId(UUID.randomUUID()),
                    "x",
                    new McpServerId(UUID.randomUUID())))));

    assertThat(fleet.admit(Map.of("X-API-Key", "mcp_x")))
        .isInstanceOfSatisfying(
            Admission.Rejected.class, r -> assertThat(r.status()).isEqualTo(403));
  }

  @Test
  void a_key_that_can_not_be_checked_is_asked_to_come_back() {
    fleet.access.answers.put(
        "pk_x", CompletableFuture.failedFuture(new IOException("database away")));

    assertThat(fleet.admit(Map.of("X-API-Key", "pk_x")))
        .isInstanceOfSatisfying(
            Admission.Rejected.class, r -> assertThat(r.status()).isEqualTo(503));
  }

  @Test
  void an_agent_with_a_link_to_this_node_is_sent_to_another() {
    assertThat(fleet.admit(Map.of("X-API-Key", KEY, "Conexor-Linked", "node-7,node-1")))
        .isInstanceOfSatisfying(
            Admission.Rejected.class, r -> assertThat(r.status()).isEqualTo(409));
    assertThat(fleet.admit(Map.of("X-API-Key", KEY, "Conexor-Linked", "node-7")))
        .isInstanceOf(Admission.Accepted.class);
  }

  @Test
  void a_draining_node_admits_nobody() {
    fleet.node.drain(Duration.ofSeconds(1));

    assertThat(fleet.admit(Map.of("X-API-Key", KEY))).isEqualTo(rejected(503, AgentHub.DRAINING));
  }

  @Test
  void an_agent_has_a_bounded_number_of_links() {
    for (int i = 0; i < Fleet.SETTINGS.maxAgentLinks(); i++) {
      fleet.dial(KEY);
    }

    assertThat(fleet.admit(Map.of("X-API-Key", KEY)))
        .isInstanceOfSatisfying(
            Admission.Rejected.class, r -> assertThat(r.status()).isEqualTo(429));
    fleet.access.agent("pk_other");
    assertThat(fleet.admit(Map.of("X-API-Key", "pk_other"))).isInstanceOf(Admission.Accepted.class);
  }

  // The way up

  @Test
  void after_handshake_and_hello_the_agent_is_welcome_and_the_directory_knows_it() {
    Fleet.Peer peer = fleet.dial(KEY);
    peer.handshake();
    assertThat(peer.written).containsExactly("{}\u001e".getBytes(UTF_8));

    peer.hello(process, 7, source("sales", "UP"));

    assertThat(peer.heard())
        .containsExactly(new AgentMessage.Welcome(1, "node-1", "1", 1, 1000, agent.toString()));
    assertThat(fleet.directory.attached())
        .singleElement()
        .satisfies(
            attachment -> {
              assertThat(attachment.org()).isEqualTo(Fleet.ORG);
              assertThat(attachment.agent()).isEqualTo(agent);
              assertThat(attachment.process()).isEqualTo(process);
              assertThat(attachment.link()).isEqualTo(FIRST);
              assertThat(attachment.epoch()).isEqualTo(7);
              assertThat(attachment.sources())
                  .containsExactly(
                      new SourceOffer(
                          "sales",
                          "postgresql",
                          "15",
                          true,
                          100,
                          1000,
                          4,
                          SourceOffer.State.UP,
                          ""));
            });
    assertThat(fleet.hub.find(FIRST)).isPresent();
    assertThat(fleet.hub.links()).hasSize(1);
  }

  @Test
  void handshake_and_hello_may_come_in_one_message() {
    Fleet.Peer peer = fleet.dial(KEY);
    byte[] handshake = "{\"protocol\":\"messagepack\",\"version\":1}\u001e".getBytes(UTF_8);
    byte[] hello =
        Fleet.bytes(new AgentMessage.Hello(1, "0.1.0", process.toString(), "a", List.of(), 1));
    byte[] both = Arrays.copyOf(handshake, handshake.length + hello.length);
    System.arraycopy(hello, 0, both, handshake.length, hello.length);

    peer.receive(both);

    assertThat(peer.heard(AgentMessage.Welcome.class)).hasSize(1);
  }

  @Test
  void another_wire_version_is_told_who_has_to_be_upgraded() {
    Fleet.Peer peer = fleet.dial(KEY);
    peer.handshake();
    peer.say(new AgentMessage.Hello(2, "9", process.toString(), "a", List.of(), 1));

    assertThat(peer.heard(AgentMessage.Close.class))
        .singleElement()
        .satisfies(close -> assertThat(close.error()).contains("upgrade the backend"));
    assertThat(peer.closeCode).isEqualTo(Connection.POLICY);
  }

  @Test
  void an_agent_that_says_nothing_is_closed_in_time() {
    Fleet.Peer peer = fleet.dial(KEY);
    fleet.pass(Duration.ofMillis(2_500));
    peer.handshake();
    fleet.pass(Duration.ofMillis(2_400));
    assertThat(peer.closeCode).isNull();

    fleet.pass(Duration.ofMillis(400));

    assertThat(peer.closeReason).contains("no hello");
    assertThat(fleet.hub.links()).isEmpty();
  }

  @Test
  void a_socket_that_closes_before_it_opens_leaves_nothing_behind() {
    Admission admission = fleet.admit(Map.of("X-API-Key", KEY));
    Connection connection = (Connection) ((Admission.Accepted) admission).handler();

    connection.closed(1006, "");
    Fleet.Peer late = new Fleet.Peer(connection);
    connection.opened(late);

    assertThat(late.closeCode).isEqualTo(Connection.RESTART);
    assertThat(fleet.hub.links()).isEmpty();
    assertThat(fleet.attach(KEY, process, 1).heard(AgentMessage.Welcome.class)).hasSize(1);
  }

  // Frames

  @Test
  void items_and_completions_reach_the_listener_without_their_length_prefix() {
    fleet.hub.listen(fleet.heard);
    Fleet.Peer peer = fleet.attach(KEY, process, 1);
    byte[] end =
        Fleet.bytes(new AgentMessage.CallEnd(5, AgentMessage.CallStatus.DONE, 0, false, 1, null));
    byte[] two = Arrays.copyOf(end, 2 * end.length);
    System.arraycopy(end, 0, two, end.length, end.length);
    List<byte[]> bodies = new ArrayList<>();
    fleet.heard.onMessage =
        message -> {
          byte[] body = new byte[message.remaining()];
          message.duplicate().get(body);
          bodies.add(body);
        };

    peer.receive(two);

    byte[] body = Arrays.copyOfRange(end, 1, end.length);
    assertThat(bodies).containsExactly(body, body);
  }

  @Test
  void a_listener_is_told_of_links_before_anything_else_of_them() {
    Fleet.Peer early = fleet.attach(KEY, process, 1);
    fleet.hub.listen(fleet.heard);
    fleet.attach(KEY, UUID.randomUUID(), 1);
    early.say(heartbeat(0));

    early.closed(1006);

    assertThat(fleet.heard.events)
        .containsExactly("opened 2", "opened 1", "closed 1 the socket closed with 1006");
  }

  @Test
  void a_second_listener_is_an_error_until_the_first_has_gone() {
    var subscription = fleet.hub.listen(fleet.heard);
    assertThatThrownBy(() -> fleet.hub.listen(new Fleet.Heard()))
        .isInstanceOf(IllegalStateException.class);

    subscription.close();

    fleet.hub.listen(new Fleet.Heard());
  }

  @Test
  void a_listener_that_fails_ends_the_link_but_not_the_hub() {
    fleet.hub.listen(fleet.heard);
    fleet.heard.onMessage =
        message -> {
          throw new IllegalStateException("bug");
        };
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    peer.say(new AgentMessage.CallEnd(5, AgentMessage.CallStatus.DONE, 0, false, 1, null));

    assertThat(peer.closeCode).isEqualTo(Connection.BUG);
    assertThat(fleet.attach(KEY, process, 2).heard(AgentMessage.Welcome.class)).hasSize(1);
  }

  @Test
  void what_a_listener_finds_malformed_is_a_protocol_error() {
    fleet.hub.listen(fleet.heard);
    fleet.heard.onMessage =
        message -> {
          throw new ProtocolException("no such call", 3);
        };
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    peer.say(new AgentMessage.CallEnd(5, AgentMessage.CallStatus.DONE, 0, false, 1, null));

    assertThat(peer.closeCode).isEqualTo(Connection.PROTOCOL_ERROR);
    assertThat(peer.heard(AgentMessage.Close.class).get(0).error()).contains("no such call");
  }

  @Test
  void calls_before_the_hello_are_a_protocol_error() {
    Fleet.Peer peer = fleet.dial(KEY);
    peer.handshake();

    peer.say(new AgentMessage.CallEnd(5, AgentMessage.CallStatus.DONE, 0, false, 1, null));

    assertThat(peer.closeCode).isEqualTo(Connection.PROTOCOL_ERROR);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"GET / HTTP/1.1\r\n", "{}\u001e", "{\"protocol\":\"json\",\"version\":1}\u001e"})
  void what_is_no_handshake_of_an_agent_is_answered_with_an_error(String text) {
    Fleet.Peer peer = fleet.dial(KEY);

    peer.connection.text(text);

    assertThat(new String(peer.written.get(0), UTF_8))
        .startsWith("{\"error\":\"")
        .endsWith("\"}\u001e");
    assertThat(peer.closeCode).isEqualTo(Connection.PROTOCOL_ERROR);
  }

  @Test
  void malformed_frames_close_their_link_and_leave_the_others() {
    Fleet.Peer healthy = fleet.attach(KEY, UUID.randomUUID(), 1);
    Random random = new Random(42);
    for (int i = 0; i < 2_000; i++) {
      Fleet.Peer peer = i % 2 == 0 ? fleet.dial(KEY) : fleet.attach(KEY, process, i);
      byte[] bytes = new byte[1 + random.nextInt(40)];
      random.nextBytes(bytes);
      peer.receive(bytes);
      peer.receive(bytes);
      if (peer.closeCode == null) {
        peer.closed(1006); // random bytes may be a message that is ignored
      }
    }

    assertThat(fleet.hub.links()).hasSize(1);
    healthy.say(heartbeat(3));
    assertThat(fleet.directory.attached())
        .singleElement()
        .extracting(Attachment::inFlight)
        .isEqualTo(3);
  }

  // Life

  @Test
  void heartbeats_keep_a_link_and_tell_load_and_states() {
    Fleet.Peer peer = fleet.dial(KEY);
    peer.handshake();
    peer.hello(process, 1, source("sales", "UP"), source("stock", "UP"));

    for (int i = 0; i < 10; i++) {
      fleet.pass(Duration.ofSeconds(1));
      peer.say(
          new AgentMessage.Heartbeat(
              i, 0, List.of(new AgentMessage.SourceState("stock", "DOWN", "refused")), i));
    }

    assertThat(peer.closeCode).isNull();
    Attachment attachment = fleet.directory.attached().get(0);
    assertThat(attachment.inFlight()).isEqualTo(9);
    assertThat(attachment.sources())
        .extracting(SourceOffer::state)
        .containsExactly(SourceOffer.State.UP, SourceOffer.State.DOWN);
    assertThat(attachment.sources().get(1).reason()).isEqualTo("refused");
  }

  @Test
  void a_silent_link_is_dead_after_its_time_even_if_its_socket_does_not_answer() {
    fleet.hub.listen(fleet.heard);
    Fleet.Peer peer = fleet.attach(KEY, process, 1);
    peer.isStuck = true;

    fleet.pass(Duration.ofMillis(2_900));
    assertThat(fleet.directory.attached()).hasSize(1);
    fleet.pass(Duration.ofMillis(200));

    assertThat(fleet.directory.attached()).isEmpty();
    assertThat(fleet.heard.events).last().asString().startsWith("closed 1 silent for 3");
    assertThat(fleet.hub.find(FIRST)).isEmpty();
    fleet.pass(Duration.ofMillis(1_100));
    assertThat(peer.closeCode).as("closed although its last message is stuck").isNotNull();
  }

  @Test
  void a_process_that_stood_still_itself_blames_nobody() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    fleet.nanos += Duration.ofSeconds(60).toNanos();
    fleet.hub.tick();
    assertThat(peer.closeCode).isNull();

    fleet.pass(Duration.ofMillis(3_100));
    assertThat(peer.closeCode).as("but only so long").isEqualTo(Connection.GOING_AWAY);
  }

  @Test
  void an_idle_link_is_pinged_every_heartbeat() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    for (int i = 0; i < 5; i++) {
      fleet.pass(Duration.ofSeconds(1));
      peer.say(heartbeat(0));
    }

    assertThat(peer.heard(AgentMessage.Ping.class)).hasSizeBetween(4, 5);
  }

  @Test
  void the_agents_are_told_when_the_fleet_grows() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);
    fleet.directory.fleetSize = 3;

    fleet.pass(Duration.ofMillis(100));

    assertThat(peer.heard(AgentMessage.Welcome.class))
        .extracting(AgentMessage.Welcome::fleetSize)
        .containsExactly(1, 3);
  }

  @Test
  void a_newer_link_of_the_same_process_fences_the_older() {
    Fleet.Peer older = fleet.attach(KEY, process, 1);
    Fleet.Peer newer = fleet.attach(KEY, process, 2);

    assertThat(older.closeReason).contains("replaced");
    assertThat(newer.closeCode).isNull();
    assertThat(fleet.directory.attached()).extracting(Attachment::link).containsExactly(SECOND);
  }

  @Test
  void an_older_link_that_comes_late_is_refused() {
    Fleet.Peer newer = fleet.attach(KEY, process, 2);
    Fleet.Peer older = fleet.attach(KEY, process, 1);

    assertThat(older.closeReason).contains("newer link");
    assertThat(newer.closeCode).isNull();
    assertThat(fleet.directory.attached()).extracting(Attachment::link).containsExactly(FIRST);
  }

  @Test
  void several_processes_of_one_agent_may_be_linked() {
    fleet.attach(KEY, process, 1);
    fleet.attach(KEY, UUID.randomUUID(), 1);

    assertThat(fleet.hub.links()).hasSize(2);
  }

  @Test
  void a_revoked_key_ends_its_links() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);
    fleet.access.refuse(KEY, "the key was revoked");

    fleet.pass(Fleet.SETTINGS.keyCheck());

    assertThat(peer.heard(AgentMessage.Close.class))
        .singleElement()
        .satisfies(close -> assertThat(close.error()).contains("the key was revoked"));
    assertThat(fleet.hub.links()).isEmpty();
  }

  @Test
  void links_stay_while_keys_can_not_be_checked() {
    fleet.attach(KEY, process, 1);
    fleet.access.answers.put(KEY, CompletableFuture.failedFuture(new IOException("database away")));

    fleet.pass(Fleet.SETTINGS.keyCheck());

    assertThat(fleet.hub.links()).hasSize(1);
  }

  @Test
  void a_draining_agent_is_marked_and_keeps_its_link() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    peer.say(new AgentMessage.Closing("stopping"));

    assertThat(fleet.directory.attached())
        .singleElement()
        .extracting(Attachment::isClosing)
        .isEqualTo(true);
    assertThat(peer.closeCode).isNull();
  }

  @Test
  void a_draining_node_tells_its_agents_and_keeps_their_links() {
    Fleet.Peer peer = fleet.attach(KEY, process, 1);

    fleet.node.drain(Duration.ofSeconds(1));

    assertThat(peer.heard(AgentMessage.Closing.class)).hasSize(1);
    assertThat(peer.closeCode).isNull();
  }

  @Test
  void a_slow_consumer_is_closed_with_the_reason() {
    fleet.hub.listen(fleet.heard);
    Fleet.Peer peer = fleet.attach(KEY, process, 1);
    AgentLink link = fleet.hub.find(FIRST).orElseThrow();
    peer.isStuck = true;

    int sent = 0;
    while (link.send(new byte[1_000], 0, 1_000)) {
      sent++;
    }

    assertThat(sent).isEqualTo(100);
    assertThat(peer.closeReason).startsWith("slow consumer");
    assertThat(fleet.heard.events).last().asString().contains("slow consumer");
    assertThat(link.send(new byte[1], 0, 1)).isFalse();
  }

  @Test
  void deactivation_closes_sockets_with_service_restart() {
    Fleet.Peer up = fleet.attach(KEY, process, 1);
    Fleet.Peer dialling = fleet.dial(KEY);

    fleet.hub.deactivate();

    assertThat(up.closeCode).isEqualTo(Connection.RESTART);
    assertThat(dialling.closeCode).isEqualTo(Connection.RESTART);
    assertThat(fleet.directory.attached()).isEmpty();
  }

  private static AgentMessage.Heartbeat heartbeat(int inFlight) {
    return new AgentMessage.Heartbeat(inFlight, 0, List.of(), 1);
  }

  private static AgentMessage.Source source(String name, String state) {
    return new AgentMessage.Source(name, "postgresql", "15", true, 100, 1000, 4, state, null);
  }

  private static Admission rejected(int status, String reason) {
    return new Admission.Rejected(status, reason);
  }
}
