/**
 * How both ends of a socket queue what they send: many senders, one write in flight, a bound. The
 * one place of this bundle that many threads may use at once; it starts none and does no I/O, the
 * writes are a function it is given.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.send;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
