/** The contracts between the bundles of Conexor, and nothing else. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
