/**
 * What a backend and an agent say to each other, as SignalR hub messages in MessagePack. See the
 * README of the bundle.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.agent;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
