/** Calls to agents: queries with rows that stream back, and schema discovery. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.call;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
