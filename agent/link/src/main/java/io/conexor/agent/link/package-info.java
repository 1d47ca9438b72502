/**
 * The agent's links to the backends, dialled outwards through one public URL.
 *
 * <pre>
 *    executor --serve, offer--&gt; Links (one owner thread)
 *        ^                        | wanted = min(links.max, size of the fleet)
 *        |                        v
 *        |                      Link 1   Link 2   Link 3      DOWN -&gt; CONNECTING -&gt; UP -&gt; CLOSING
 *        |  calls, credit,        |
 *        +--cancel (I/O thread)-- Session == WebSocket ==&gt; load balancer ==&gt; a backend without a link so far
 * </pre>
 *
 * <p><b>What fails, and what then.</b>
 *
 * <ul>
 *   <li>A backend dies: its link goes DOWN and is dialled again with full-jitter backoff; the
 *       others serve on.
 *   <li>A backend hangs or the network drops packets: the link is given up after the liveness
 *       timeout of silence.
 *   <li>A backend drains: it says so, the link goes CLOSING and serves what it has while another
 *       link takes its place.
 *   <li>The load balancer chooses a backend that has a link already: it refuses with 409 and the
 *       dial is repeated.
 *   <li>The key is refused, the URL is wrong, TLS is not trusted: the log says which key of the
 *       configuration to look at, at the first, second, fourth, eighth... attempt; dialling goes
 *       on, as all of these may be mended elsewhere.
 *   <li>A backend sends garbage: the link is cut and dialled again.
 *   <li>This process stands still: it gives the backends one more liveness timeout before it gives
 *       up links.
 *   <li>The agent stops: backends are told to send nothing new, running calls are finished, links
 *       are closed.
 * </ul>
 */
@NullMarked
package io.conexor.agent.link;

import org.jspecify.annotations.NullMarked;
