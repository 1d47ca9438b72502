/** The audit trail: who did what, where it ran and how it ended. Never result rows. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.audit;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
