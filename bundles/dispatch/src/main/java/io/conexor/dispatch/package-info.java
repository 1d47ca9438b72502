/**
 * One call to an agent, wherever it is attached.
 *
 * <pre>
 *   edge --start--> Call --choose--> Source (routes, queue) --> Attempt --> link --> agent
 *                    ^                                            |
 *                    |      SlotTable: int id -> Attempt <--------+
 *   sink <--batch----+----- reader thread of the link looks the id up
 *                    +----- sweep thread: deadlines, links that vanished
 * </pre>
 *
 * <p>Everything that happens to one call passes its serialized section ({@code Call#tryEnter},
 * {@code Call#post}): whoever comes first runs, whoever comes meanwhile leaves his step to be run
 * by the first. So there is no lock, and the state of a call needs no further care. An attempt ends
 * for whoever takes it out of its slot, which succeeds once: that is what gives its place at the
 * agent back.
 *
 * <p><b>Failure.</b> Before the first batch went to the sink a loss, a refusal or an error of the
 * agent leads to another attempt within the deadline, for repeatable calls always, for others when
 * nothing was applied. Afterwards the sink hears what is known. Answers that come late find their
 * slot empty, or taken by another id, and are dropped.
 *
 * <p><b>Relaying.</b> Direct messages of the backplane arrive in order or not at all. So parts of
 * an answer are numbered, and five times per {@code relay.silence.ms} the backend that asked names
 * its open calls and hears how many parts were sent for each: whatever was lost shows there at the
 * latest, and whoever does not answer is left out until it does. The other way round a call that is
 * named no more is cancelled. Credit is named as a total, so a lost grant is made good by the next
 * ping; it is the agent's own credit, so a slow client slows the agent down, wherever it is linked.
 */
@NullMarked
package io.conexor.dispatch;

import org.jspecify.annotations.NullMarked;
