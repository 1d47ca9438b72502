/**
 * Messages between backends: lasting events, and direct messages to one node. See
 * docs/failure-semantics.md#backplane.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.backplane;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
