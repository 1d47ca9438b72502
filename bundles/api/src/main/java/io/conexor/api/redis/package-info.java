/** Where Redis is and how to log in there. The client itself is Redisson's. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.redis;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
