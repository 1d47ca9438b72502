/** Bytes to messages and back: hub framing and agent messages, as pure functions. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
