/** The product's own PostgreSQL: intent-based access and where its servers are. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.database;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
