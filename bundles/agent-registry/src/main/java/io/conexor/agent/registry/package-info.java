/**
 * Which agent is attached to which backend, learned by gossip.
 *
 * <pre>
 *   hub of this backend --announce/withdraw--> GossipedAgentDirectory --+--> LinkIndex  (what readers see)
 *                                                   |     ^             |
 *                              deltas, digests      v     |             +--> Roster (what other nodes said)
 *                                              topic "agents" of the backplane
 *                              snapshots: request to one node on channel "agents"
 * </pre>
 *
 * <p>Every node numbers the changes of its own links. It publishes each change as a delta, and once
 * per heartbeat a digest: its number, how many links it has, and their load. Whoever sees a number
 * he can't continue from asks that node for a snapshot. So a lost event, a gap, a new backend and a
 * Redis that came back empty are all healed by the next digest; nothing is stored anywhere.
 *
 * <p><b>Failure.</b> A node not heard for three of its heartbeats is forgotten with all its links.
 * A backend that was itself stopped for a while does not count the time it could not listen.
 * Without a backplane the links of this backend stay exact and those of others expire.
 */
@NullMarked
package io.conexor.agent.registry;

import org.jspecify.annotations.NullMarked;
