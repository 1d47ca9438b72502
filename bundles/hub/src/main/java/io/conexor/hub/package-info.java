/**
 * The endpoint that owns the live sockets of this backend. Today it speaks to agents; {@link
 * io.conexor.hub.Connection} knows nothing of them, so that other kinds of hub clients fit beside.
 *
 * <pre>
 *   agent ==WebSocket==&gt; Connection -------&gt; AgentSession --frames of calls--&gt; LocalLinks.Listener (dispatch)
 *                         | one gate          | handshake, hello               ^
 *                         | one write         | heartbeats                     | send(bytes)
 *                         v                   v                                |
 *                        OutboundQueue       AgentHub --announce/withdraw--&gt; AgentDirectory
 *                                             ^
 *                        conexor-hub-clock ---+ liveness, pings, keys, fleet size
 * </pre>
 *
 * <p><b>What fails, and what then.</b>
 *
 * <ul>
 *   <li>An agent falls silent (its host hangs, the network drops packets): after the liveness
 *       timeout its link ends, the directory and the listener are told at once, the socket is cut a
 *       second later at most.
 *   <li>An agent reads too slowly: at the outbound bound its link is closed with the reason. Memory
 *       per link is bounded.
 *   <li>An agent sends garbage: its link is closed with 1002 and what was wrong at which byte.
 *       Nothing else notices.
 *   <li>An agent comes back while its old socket seems alive: the link with the higher epoch fences
 *       the older.
 *   <li>An agent's key is revoked: its links end within the key check interval. Keys that cannot be
 *       checked change nothing.
 *   <li>This process stands still (a long pause, a stopped VM): it gives every link one more
 *       liveness timeout before it blames anyone, as what they sent meanwhile is still to be read.
 *   <li>The backend drains: agents are told and dial elsewhere, no new link is admitted, links stay
 *       until they end.
 *   <li>The bundle stops: sockets close with 1012 (service restart).
 * </ul>
 */
@NullMarked
package io.conexor.hub;

import org.jspecify.annotations.NullMarked;
