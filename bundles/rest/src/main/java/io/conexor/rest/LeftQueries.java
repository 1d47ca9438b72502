package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.access.Tokens;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.AgentId;
import io.conexor.protocol.rows.RowReader;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import tools.jackson.databind.node.ObjectNode;

/**
 * Queries that were left to their agents: {@code /queries/{id}}. No backend remembers one; the id
 * is signed and says where the query is and who may ask for it.
 */
final class LeftQueries {

  private static final String PURPOSE = "rest.query";
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final AgentCalls calls;
  private final Tokens tokens;
  private final Settings settings;

  LeftQueries(AgentCalls calls, Tokens tokens, Settings settings) {
    this.calls = calls;
    this.tokens = tokens;
    this.settings = settings;
  }

  /** What an id stands for. */
  record Left(UUID id, String source, AgentId agent, String token) {}

  private record State(String name, long rows, long elapsedMicros, String code) {}

  /** RFC 7240. */
  static boolean isWanted(Call call) {
    return call.exchange.headers("Prefer").stream()
        .flatMap(value -> java.util.Arrays.stream(value.split("[,;]")))
        .anyMatch(each -> each.strip().equalsIgnoreCase("respond-async"));
  }

  /** 202, once it is certain that the query will be found. */
  void promise(Call call, UUID id, String source, String hash, Optional<AgentId> agent) {
    AgentId at = agent.orElseThrow();
    String claims =
        String.join("\n", call.principal().subject(), id.toString(), source, at.toString());
    // It may run for the longest time, and is kept after that; the agent knows.
    Duration life = settings.timeoutMax().plus(settings.keep()).plusHours(1);
    Left left = new Left(id, source, at, tokens.issue(PURPOSE, claims.getBytes(UTF_8), life));
    ask(
        call,
        left,
        QueryLife.Kind.STATE,
        state -> {
          call.exchange.withHeader("Location", RestApi.PATH + "/queries/" + left.token());
          call.exchange.withHeader("Preference-Applied", "respond-async");
          call.exchange.withHeader("Retry-After", "1");
          RestApi.respond(call, new Answer(202, json(left, state), java.util.Map.of()));
        });
  }

  private Left find(Call call) {
    String token = call.path.get(0);
    String[] claims =
        tokens
            .verify(PURPOSE, token)
            .map(bytes -> new String(bytes, UTF_8))
            .orElse("")
            .split("\n", -1);
    if (claims.length != 4 || !claims[0].equals(call.principal().subject())) {
      throw Problem.raise(404, "query_unknown", "there is no such query, or it is not yours");
    }
    return new Left(
        UUID.fromString(claims[1]), claims[2], new AgentId(UUID.fromString(claims[3])), token);
  }

  void state(Call call) {
    Left left = find(call);
    ask(
        call,
        left,
        QueryLife.Kind.STATE,
        state -> {
          if (state.name().equals("RUNNING")) {
            call.exchange.withHeader("Retry-After", "1");
          }
          RestApi.respond(call, Answer.ok(json(left, state)));
        });
  }

  /** Goes on with one that has ended; else says that it runs. */
  void ended(Call call, Consumer<Left> then) {
    Left left = find(call);
    ask(
        call,
        left,
        QueryLife.Kind.STATE,
        state -> {
          if (state.name().equals("RUNNING")) {
            call.exchange.withHeader("Retry-After", "1");
            RestApi.respond(call, new Answer(202, json(left, state), java.util.Map.of()));
          } else {
            then.accept(left);
          }
        });
  }

  void discard(Call call) {
    Left left = find(call);
    ask(
        call,
        left,
        QueryLife.Kind.DISCARD,
        state -> {
          call.audited(
              "query.discard",
              io.conexor.api.audit.AuditRecord.Outcome.OK,
              left.id().toString(),
              null);
          RestApi.respond(call, Answer.noContent());
        });
  }

  private static ObjectNode json(Left left, State state) {
    ObjectNode json = Json.object();
    json.put("id", left.token());
    json.put("state", state.name());
    json.put("source", left.source());
    json.put("elapsedMicros", state.elapsedMicros());
    if (!state.name().equals("RUNNING")) {
      json.put("rowCount", state.rows());
      json.put("result", RestApi.PATH + "/queries/" + left.token() + "/result");
    }
    if (!state.code().isEmpty()) {
      json.put("code", state.code());
    }
    return json;
  }

  private void ask(Call call, Left left, QueryLife.Kind kind, Consumer<State> then) {
    var unused =
        calls.start(
            new QueryCall(
                left.id(),
                call.org(),
                left.source(),
                "",
                List.of(),
                1,
                65_536,
                Deadline.in(PATIENCE),
                true,
                null,
                null,
                new QueryLife(kind, Duration.ZERO, left.agent())),
            new StateSink(call, then));
  }

  private static final class StateSink implements RowSink {
    private final Call call;
    private final Consumer<State> then;
    private State state = new State("", 0, 0, "");

    StateSink(Call call, Consumer<State> then) {
      this.call = call;
      this.then = then;
    }

    @Override
    public void batch(RowBatch batch) {
      RowReader row = new RowReader(batch.data(), batch.offset(), batch.length());
      if (row.nextRow()) {
        state =
            new State(
                String.valueOf(row.value()),
                row.value() instanceof Long rows ? rows : 0,
                row.value() instanceof Long micros ? micros : 0,
                String.valueOf(row.value()));
      }
    }

    @Override
    public void done(QuerySummary summary) {
      then.accept(state);
    }

    @Override
    public void failed(ConexorException cause) {
      call.problem(Problem.of(cause));
    }
  }
}
