/** This backend process: its identity, its state and its drain. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.node;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
