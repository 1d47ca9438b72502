package io.conexor.api.call;

import io.conexor.api.catalog.AgentId;

/**
 * How a query ended well.
 *
 * @param truncated a row or byte limit cut the result
 * @param agentElapsedMicros from the agent's receipt of the statement to its last row
 */
public record QuerySummary(
    AgentId agent, String agentName, long rows, boolean truncated, long agentElapsedMicros) {}
