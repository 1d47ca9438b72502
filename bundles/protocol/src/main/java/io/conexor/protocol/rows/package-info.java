/** Batches of typed rows: the agent writes them, the edges read them or transcode them to JSON. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.rows;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
