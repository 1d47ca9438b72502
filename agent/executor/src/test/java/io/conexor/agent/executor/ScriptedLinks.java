package io.conexor.agent.executor;

import io.conexor.api.Subscription;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.link.BackendLinks;
import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.agent.AgentDecoder;
import io.conexor.protocol.agent.AgentEncoder;
import io.conexor.protocol.agent.AgentMessage;
import io.conexor.protocol.hub.FrameReader;
import io.conexor.protocol.hub.HubMessage;
import io.conexor.protocol.rows.RowReader;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Plays the backends: sends calls to the executor and takes its answers apart. */
final class ScriptedLinks implements BackendLinks {
  volatile Handler handler;
  volatile List<SourceOffer> offers = List.of();

  @Override
  public Subscription serve(Handler newHandler) {
    handler = newHandler;
    return () -> handler = null;
  }

  @Override
  public void offer(List<SourceOffer> sources) {
    offers = List.copyOf(sources);
  }

  @Override
  public List<Status> status() {
    return List.of();
  }

  Link link() {
    return new Link();
  }

  /** One answer, as far as it has come. */
  static final class Reply {
    final List<AgentMessage.Column> columns = new ArrayList<>();
    final List<List<Object>> rows = new ArrayList<>();
    final CountDownLatch ended = new CountDownLatch(1);
    volatile int batches;
    volatile int messages;
    volatile long bytes;
    volatile boolean keepRows = true;
    volatile long rowCount;
    private volatile AgentMessage.CallEnd end;

    AgentMessage.CallEnd await() {
      return await(Duration.ofSeconds(30));
    }

    AgentMessage.CallEnd await(Duration patience) {
      try {
        if (!ended.await(patience.toMillis(), TimeUnit.MILLISECONDS)) {
          throw new AssertionError("no end within " + patience);
        }
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      return end;
    }

    boolean hasEnded() {
      return end != null;
    }

    /** Rows of a call that went well. */
    List<List<Object>> ok() {
      AgentMessage.CallEnd got = await();
      if (got.error() != null) {
        throw new AssertionError(got.error().toString());
      }
      return rows;
    }

    String error() {
      AgentMessage.CallEnd got = await();
      if (got.error() == null) {
        throw new AssertionError("no error but " + got + " and " + rows);
      }
      return got.error().code();
    }
  }

  final class Link implements BackendLink {
    private final AtomicInteger ids = new AtomicInteger();
    private final Map<Integer, Reply> replies = new ConcurrentHashMap<>();
    volatile boolean isOpen = true;
    volatile boolean isFull;
    volatile int lastId;

    Reply query(String source, String sql, Object... parameters) {
      return query(source, sql, Arrays.asList(parameters), 1_000, 1L << 40, 30_000, 1_000);
    }

    Reply query(
        String source,
        String sql,
        List<Object> parameters,
        long maxRows,
        long maxBytes,
        int deadlineMillis,
        int window) {
      int id = ids.incrementAndGet();
      return send(
          id,
          new AgentMessage.Query(
              id,
              source,
              sql,
              parameters,
              maxRows,
              maxBytes,
              deadlineMillis,
              window,
              UUID.randomUUID().toString(),
              null));
    }

    /** A query that may outlive this link. */
    Reply query(AgentMessage.Life life, UUID queryId, String source, String sql) {
      return query(life, queryId, source, sql, 100);
    }

    Reply query(AgentMessage.Life life, UUID queryId, String source, String sql, int window) {
      int id = ids.incrementAndGet();
      return send(
          id,
          new AgentMessage.Query(
              id,
              source,
              sql,
              List.of(),
              1_000_000,
              1L << 40,
              30_000,
              window,
              queryId.toString(),
              null,
              life,
              60_000,
              life == AgentMessage.Life.REQUEST ? queryId.toString() : ""));
    }

    void detach(UUID newId) {
      deliver(new AgentMessage.Detach(lastId, newId.toString(), 60_000));
    }

    Reply schema(String source) {
      int id = ids.incrementAndGet();
      return send(id, new AgentMessage.Schema(id, source, 30_000, 1_000));
    }

    /** A call whose rows are not kept, and which gets no credit beyond its window by itself. */
    Reply stalled(String source, String sql, int window) {
      int id = ids.incrementAndGet();
      Reply reply = new Reply();
      reply.keepRows = false;
      replies.put(id, reply);
      lastId = id;
      deliver(
          new AgentMessage.Query(
              id,
              source,
              sql,
              List.of(),
              1_000_000,
              1L << 40,
              60_000,
              window,
              UUID.randomUUID().toString(),
              null));
      return reply;
    }

    void cancel(int id) {
      deliver(new AgentMessage.Cancel(id));
    }

    void credit(int batches) {
      deliver(new AgentMessage.Credit(lastId, batches));
    }

    void cancel() {
      deliver(new AgentMessage.Cancel(lastId));
    }

    void close() {
      isOpen = false;
      handler.closed(this);
    }

    private Reply send(int id, AgentMessage message) {
      Reply reply = new Reply();
      replies.put(id, reply);
      lastId = id;
      deliver(message);
      return reply;
    }

    private void deliver(AgentMessage message) {
      GrowingBytes out = new GrowingBytes(256, 1 << 24);
      new AgentEncoder(out).message(message);
      FrameReader frame = new FrameReader().reset(out.array(), 0, out.size());
      if (!frame.next()) {
        throw new AssertionError("nothing was encoded");
      }
      handler.message(
          this, ByteBuffer.wrap(out.array(), frame.start(), frame.end() - frame.start()));
    }

    @Override
    public boolean send(byte[] bytes, int offset, int length) {
      if (!isOpen || isFull) {
        return false;
      }
      FrameReader frame = new FrameReader().reset(bytes, offset, length);
      Reply last = null;
      while (frame.next()) {
        if (frame.type() == HubMessage.STREAM_ITEM) {
          last = batch(AgentDecoder.rowBatch(frame));
        } else {
          AgentMessage.CallEnd end = AgentDecoder.callEnd(frame);
          last = replies.get(end.callId());
          last.end = end;
        }
      }
      last.messages++;
      last.bytes += length;
      if (last.end != null) {
        last.ended.countDown();
      }
      return true;
    }

    private Reply batch(AgentMessage.RowBatch batch) {
      Reply reply = replies.get(batch.callId());
      if (batch.columns() != null) {
        reply.columns.addAll(batch.columns());
      }
      reply.batches++;
      reply.rowCount += batch.rowCount();
      RowReader rows = new RowReader(batch.bytes(), batch.rowsOffset(), batch.rowsLength());
      while (reply.keepRows && rows.nextRow()) {
        List<Object> row = new ArrayList<>();
        while (rows.valuesLeft() > 0) {
          row.add(rows.value());
        }
        reply.rows.add(row);
      }
      return reply;
    }

    @Override
    public long queuedBytes() {
      return 0;
    }
  }
}
