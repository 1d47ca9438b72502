/**
 * SignalR for people and programs, without sticky sessions. Hubs are contributed by other bundles.
 *
 * <pre>
 *   WebSocket ----- WebSocketLeg --+
 *   long poll --+                  +--> ClientSession --invoked--> Hub (another bundle)
 *   events -----+-- PollLeg -------+      |  order, calls, groups    | send, invoke
 *   post -------+      ^                  v                          v
 *        |             |               Keeping --> ResumeStore    ServedHub --+
 *        v             | poll, post       (stateful reconnect)                | everyone, groups,
 *     Forwarder ==Backplane requests==&gt; Forwarder of the owner             v users, others' clients
 *                                                                   Bus ==Backplane events==&gt; Bus
 * </pre>
 *
 * <p>A token from negotiate names the backend that gave it, which owns event streams and long
 * polls; what lands elsewhere is forwarded. A WebSocket is owned by the backend it arrives at.
 *
 * <p><b>What fails, and what then.</b>
 *
 * <ul>
 *   <li>A client falls silent, or reads too slowly: it is closed, with the reason.
 *   <li>The owner dies: event streams and long polls get 404 within seconds, plain WebSockets
 *       break; clients connect anew. One with stateful reconnect goes on at another backend:
 *       messages it had not acknowledged come from the store, events nobody had dealt with from the
 *       backplane, and what ran on the dead backend ends with an error that says so.
 *   <li>The store does not answer: messages of connections with stateful reconnect wait; after the
 *       patience they are closed, and begin anew without it.
 *   <li>A request or an answer between backends is lost: it is repeated with the same id.
 *   <li>Events of the backplane are lost: the connections they may have been for, going by the
 *       partition, are closed and come back.
 *   <li>The backend drains: connections with stateful reconnect are let go to another backend,
 *       others are told to connect anew, spread over a second.
 * </ul>
 */
@NullMarked
package io.conexor.hub.clients;

import org.jspecify.annotations.NullMarked;
