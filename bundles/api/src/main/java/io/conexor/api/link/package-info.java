/** Links as an agent sees them: its connections to the backends it serves. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.link;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
