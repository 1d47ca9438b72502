/**
 * The SignalR hub protocol: handshake, framing, and message types 1 to 9 in JSON and MessagePack.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.hub;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
