/** Health as machines and people read it. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.health;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
