package io.conexor.api.agent;

/**
 * A data source as an agent offers it.
 *
 * @param engine as in {@link io.conexor.api.catalog.DataSource#engine()}
 * @param productVersion as the database names it; empty when unknown
 * @param isReadOnly whether the agent refuses everything but reads
 * @param maxRows the agent's ceiling per query
 * @param maxBytes the agent's ceiling per query
 * @param maxConcurrent statements it runs side by side
 * @param reason why the state is what it is, for people
 */
public record SourceOffer(
    String name,
    String engine,
    String productVersion,
    boolean isReadOnly,
    long maxRows,
    long maxBytes,
    int maxConcurrent,
    State state,
    String reason) {

  /** What the agent's last probe of the database said. */
  public enum State {
    UP,
    DOWN,
    UNKNOWN
  }
}
