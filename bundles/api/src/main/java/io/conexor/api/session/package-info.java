/** Logins that outlive the backend that created them. See docs/failure-semantics.md#sessions. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.session;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
