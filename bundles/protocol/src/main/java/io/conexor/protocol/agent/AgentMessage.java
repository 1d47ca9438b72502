package io.conexor.protocol.agent;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What travels on a link between an agent and a backend. */
public sealed interface AgentMessage {

  /** What an agent sends. */
  sealed interface FromAgent extends AgentMessage {}

  /** What a backend sends. */
  sealed interface FromBackend extends AgentMessage {}

  /**
   * The first message of an agent; sent again whenever its sources change.
   *
   * @param processId new at each start of the agent; tells its links from those of a namesake or a
   *     predecessor
   * @param epoch grows with every link the process opens to any backend
   */
  record Hello(
      int wireVersion,
      String agentVersion,
      String processId,
      String agentName,
      List<Source> sources,
      long epoch)
      implements FromAgent {}

  /**
   * A data source as its agent announces it.
   *
   * @param state {@code UP}, {@code DOWN} or {@code UNKNOWN}
   * @param maxRows most rows the agent returns for one query, 0 for no limit
   * @param maxBytes most bytes of rows, 0 for no limit
   */
  record Source(
      String name,
      String engine,
      String productVersion,
      boolean readOnly,
      long maxRows,
      long maxBytes,
      int maxConcurrent,
      String state,
      @Nullable String stateReason) {}

  /** How a source of the agent is doing; states as in {@link Source}. */
  record SourceState(String name, String state, @Nullable String reason) {}

  /**
   * Sent every heartbeat interval.
   *
   * @param held ids of queries that run for long or whose results are kept, at most {@link
   *     AgentWire#MAX_HELD}: who is asked for one of them had better ask this agent
   */
  record Heartbeat(
      int inFlight, int queued, List<SourceState> sources, long sequence, List<String> held)
      implements FromAgent {

    public Heartbeat(int inFlight, int queued, List<SourceState> sources, long sequence) {
      this(inFlight, queued, sources, sequence, List.of());
    }
  }

  /** The first message of a backend: the link is up. Sent again when the fleet has another size. */
  record Welcome(
      int wireVersion,
      String nodeId,
      String linkId,
      int fleetSize,
      int heartbeatMillis,
      String agentId)
      implements FromBackend {}

  /** The sender drains: send nothing new here; calls in flight are finished. */
  record Closing(String reason) implements FromAgent, FromBackend {}

  /** The sender is alive. */
  record Ping() implements FromAgent, FromBackend {
    public static final Ping INSTANCE = new Ping();
  }

  /** The sender closes the link now; with an error that says what to do. */
  record Close(@Nullable String error, boolean allowReconnect) implements FromAgent, FromBackend {}

  /**
   * Run a statement.
   *
   * @param parameters null, Boolean, Long, Double, BigDecimal, String, byte[] or List of these
   * @param maxRows most rows wanted
   * @param maxBytes most bytes of rows wanted
   * @param deadlineMillis time left when this was sent
   * @param window batches that may be under way without a {@link Credit}
   * @param queryId uuid, the same in logs of both sides and in the audit
   * @param life what the query id means to the agent, see {@link Life}
   * @param keepMillis how long a result is kept where {@code life} asks for it
   * @param asker who asks, for what tool; with {@link Life#REQUEST} the same statement of the same
   *     asker is the same request, see {@link QueryIds#ofRequest}; else empty
   */
  record Query(
      int callId,
      String source,
      String sql,
      List<@Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      int deadlineMillis,
      int window,
      String queryId,
      @Nullable String traceparent,
      Life life,
      int keepMillis,
      String asker)
      implements FromBackend {

    /** One that ends with its link. */
    public Query(
        int callId,
        String source,
        String sql,
        List<@Nullable Object> parameters,
        long maxRows,
        long maxBytes,
        int deadlineMillis,
        int window,
        String queryId,
        @Nullable String traceparent) {
      this(
          callId,
          source,
          sql,
          parameters,
          maxRows,
          maxBytes,
          deadlineMillis,
          window,
          queryId,
          traceparent,
          Life.LINK,
          0,
          "");
    }
  }

  /** What becomes of a query when its link goes, and what its id stands for. */
  enum Life {
    /** It ends with its link; what agents of before know. */
    LINK(0),
    /**
     * It survives its link for a while; the same request again finds it if nobody reads it any
     * more, else runs anew.
     */
    REQUEST(1),
    /** The id stands for one run: the result is kept, the same id again never runs anew. */
    ONCE(2),
    /** Runs nothing: the result of the id, if it is there. */
    RESULT(3),
    /** Runs nothing: one row that says how the query of the id is doing. */
    STATE(4),
    /** Runs nothing: ends the query of the id and forgets it. */
    DISCARD(5);

    private final int code;

    Life(int code) {
      this.code = code;
    }

    /** What travels. */
    int code() {
      return code;
    }

    /** Null when this version does not know it. */
    static @Nullable Life of(int code) {
      for (Life each : values()) {
        if (each.code == code) {
          return each;
        }
      }
      return null;
    }
  }

  /** Describe the tables and views of a source. */
  record Schema(int callId, String source, int deadlineMillis, int window) implements FromBackend {}

  /** So many more batches may be sent. */
  record Credit(int callId, int batches) implements FromBackend {}

  /** Nobody wants the rest; the call still has to end with a {@link CallEnd}. */
  record Cancel(int callId) implements FromBackend {}

  /**
   * Whoever asked reads no further and does not want the call ended: another backend may ask for
   * its result. Nothing more is sent for it here. One that can not survive is cancelled.
   *
   * @param queryId what it is asked for by from now on, as one that is {@link Life#ONCE}; empty
   *     where its id stays
   * @param keepMillis how long its result is kept then
   */
  record Detach(int callId, String queryId, int keepMillis) implements FromBackend {}

  /**
   * Some rows. The bytes are those of the message that was read: they are valid until its reader
   * returns.
   *
   * @param columns only with the first batch of a call
   */
  record RowBatch(
      int callId,
      @Nullable List<Column> columns,
      int rowCount,
      byte[] bytes,
      int rowsOffset,
      int rowsLength)
      implements FromAgent {}

  /**
   * A column of a result.
   *
   * @param type name of a column type of the api
   * @param elementType type of the elements of an array
   * @param engineType what the database calls the type
   */
  record Column(
      String name,
      String type,
      boolean nullable,
      @Nullable String elementType,
      String engineType) {}

  /**
   * The end of a call.
   *
   * @param truncated rows were left out because of a limit
   * @param error there if and only if the status is {@link CallStatus#FAILED} or {@link
   *     CallStatus#CANCELLED}
   */
  record CallEnd(
      int callId,
      CallStatus status,
      long rowCount,
      boolean truncated,
      long elapsedMicros,
      @Nullable CallError error)
      implements FromAgent {
    public CallEnd {
      if ((error == null) != (status == CallStatus.DONE)) {
        throw new IllegalArgumentException(
            "status " + status + " and error " + error + " contradict");
      }
    }
  }

  /** How a call ended. */
  enum CallStatus {
    DONE(0),
    FAILED(1),
    CANCELLED(2);

    private final int code;

    CallStatus(int code) {
      this.code = code;
    }

    /** What travels. */
    int code() {
      return code;
    }
  }

  /**
   * Why a call failed.
   *
   * @param blame name of the api's {@code Blame}
   * @param applied name of the api's {@code Applied}
   */
  record CallError(
      String code, String blame, String applied, String message, @Nullable String sqlState) {}
}
