package io.conexor.dispatch;

import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** Writes down what a sink hears. */
class Heard implements RowSink {
  final List<String> events = new CopyOnWriteArrayList<>();

  final AtomicLong bytes = new AtomicLong();

  @Override
  public void batch(RowBatch batch) {
    bytes.addAndGet(batch.length());
    events.add("batch " + batch.rows());
  }

  @Override
  public void done(QuerySummary summary) {
    events.add("done " + summary.agentName());
  }

  /** Written before the event. */
  volatile ConexorException failure;

  @Override
  public void failed(ConexorException cause) {
    failure = cause;
    events.add("failed " + cause.code() + " " + cause.applied());
  }

  long ends() {
    return events.stream().filter(e -> !e.startsWith("batch")).count();
  }

  void awaitEnd() {
    awaitEnd(Duration.ofSeconds(20));
  }

  void awaitEnd(Duration limit) {
    if (ends() == 0) {
      await().pollInterval(Duration.ofMillis(5)).atMost(limit).until(() -> ends() > 0);
    }
  }
}
