package io.conexor.api.call;

import io.conexor.api.Deadline;
import io.conexor.api.catalog.OrgId;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A statement to run on a data source.
 *
 * @param queryId made by whoever received the request; repeating a call with the same id lets the
 *     agent recognise it
 * @param sql with {@code ?} for each parameter
 * @param parameters null, Boolean, Long, Double, BigDecimal, String, byte[] or a List of these
 * @param maxRows 1 or more; the agent's own ceiling may be lower
 * @param maxBytes of encoded rows; 1 or more; as {@code maxRows}
 * @param repeatable whether running it twice is harmless, since it only reads; such a call never
 *     reaches an agent that allows changes on the source
 * @param traceparent W3C trace context, passed on as it is
 * @param hedgeAfter when an answer takes longer than this, a repeatable call is sent to a second
 *     agent too, and the first answer counts; zero = never, null = as the backend is configured
 * @param life what becomes of it when whoever asked goes away
 */
public record QueryCall(
    UUID queryId,
    OrgId org,
    String source,
    String sql,
    List<@Nullable Object> parameters,
    long maxRows,
    long maxBytes,
    Deadline deadline,
    boolean repeatable,
    @Nullable String traceparent,
    @Nullable Duration hedgeAfter,
    QueryLife life) {

  /** One that ends with its link. */
  public QueryCall(
      UUID queryId,
      OrgId org,
      String source,
      String sql,
      List<@Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      Deadline deadline,
      boolean repeatable,
      @Nullable String traceparent,
      @Nullable Duration hedgeAfter) {
    this(
        queryId,
        org,
        source,
        sql,
        parameters,
        maxRows,
        maxBytes,
        deadline,
        repeatable,
        traceparent,
        hedgeAfter,
        QueryLife.OF_LINK);
  }

  /** Hedged as the backend is configured. */
  public QueryCall(
      UUID queryId,
      OrgId org,
      String source,
      String sql,
      List<@Nullable Object> parameters,
      long maxRows,
      long maxBytes,
      Deadline deadline,
      boolean repeatable,
      @Nullable String traceparent) {
    this(
        queryId,
        org,
        source,
        sql,
        parameters,
        maxRows,
        maxBytes,
        deadline,
        repeatable,
        traceparent,
        null);
  }
}
