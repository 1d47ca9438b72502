package io.conexor.api.call;

import io.conexor.api.catalog.AgentId;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of a query when the backend that asked goes away, and what its id stands for.
 *
 * @param keep how long the agent keeps the result of {@link Kind#ONCE}; its own limit may be lower
 * @param agent who is asked first, if he is there
 * @param asker with {@link Kind#REQUEST}: who asks, and through what; requests of equal askers for
 *     the same rows of the same statement are the same. Else empty
 */
public record QueryLife(Kind kind, Duration keep, @Nullable AgentId agent, String asker) {

  /** What the id of a query stands for. */
  public enum Kind {
    /** This one call: it ends with the link it runs on. */
    LINK,
    /**
     * A request that may come again: the query survives its backend for a while, and the same
     * request again finds it then. While its backend lives, the same request again is another run.
     */
    REQUEST,
    /**
     * One run, whoever asks: the result is kept, and the same id again gets it, as long as it is
     * kept and comes to the same agent.
     */
    ONCE,
    /** Nothing runs: the rows of the query of this id, else {@code query_unknown}. */
    RESULT,
    /**
     * Nothing runs: one row with {@code state} (RUNNING, DONE, FAILED, CANCELLED), {@code rows},
     * {@code elapsed_micros} and {@code code} of the query of this id, else {@code query_unknown}.
     */
    STATE,
    /** Nothing runs: the query of this id is cancelled and forgotten; answered like STATE. */
    DISCARD
  }

  public static final QueryLife OF_LINK = new QueryLife(Kind.LINK, Duration.ZERO, null);

  public QueryLife(Kind kind, Duration keep, @Nullable AgentId agent) {
    this(kind, keep, agent, "");
  }

  /** A request of this asker. */
  public static QueryLife ofRequest(String asker) {
    return new QueryLife(Kind.REQUEST, Duration.ZERO, null, asker);
  }

  /** Whether it asks about a query that is there already. */
  public boolean runsNothing() {
    return kind == Kind.RESULT || kind == Kind.STATE || kind == Kind.DISCARD;
  }

  /** Whether there is one run of it at most, at one agent. */
  public boolean isOne() {
    return kind == Kind.ONCE || runsNothing();
  }
}
