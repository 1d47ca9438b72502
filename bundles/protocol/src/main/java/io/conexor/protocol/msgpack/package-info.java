/**
 * MessagePack as a cursor over a byte array and a writer into one: the few types the wire needs, no
 * trees.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.msgpack;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
