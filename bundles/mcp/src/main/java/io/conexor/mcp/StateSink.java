package io.conexor.mcp;

import io.conexor.api.ConexorException;
import io.conexor.api.Deadline;
import io.conexor.api.call.AgentCalls;
import io.conexor.api.call.QueryCall;
import io.conexor.api.call.QueryLife;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.OrgId;
import io.conexor.protocol.rows.RowReader;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Asks agents how a query is doing that one of them has. */
final class StateSink implements RowSink {

  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final Consumer<String> known;
  private final Consumer<ConexorException> failed;
  private String state = "";

  StateSink(Consumer<String> known, Consumer<ConexorException> failed) {
    this.known = known;
    this.failed = failed;
  }

  void ask(
      AgentCalls calls,
      OrgId org,
      String source,
      UUID query,
      QueryLife.Kind kind,
      @Nullable AgentId agent) {
    var unused =
        calls.start(
            new QueryCall(
                query,
                org,
                source,
                "",
                List.of(),
                1,
                65_536,
                Deadline.in(PATIENCE),
                true,
                null,
                null,
                new QueryLife(kind, Duration.ZERO, agent)),
            this);
  }

  @Override
  public void batch(RowBatch batch) {
    RowReader row = new RowReader(batch.data(), batch.offset(), batch.length());
    if (row.nextRow()) {
      state = String.valueOf(row.value());
    }
  }

  @Override
  public void done(QuerySummary summary) {
    known.accept(state);
  }

  @Override
  public void failed(ConexorException cause) {
    failed.accept(cause);
  }
}
