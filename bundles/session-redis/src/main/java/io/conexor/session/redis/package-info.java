/** Login sessions shared by all backends through Redis. */
@NullMarked
package io.conexor.session.redis;

import org.jspecify.annotations.NullMarked;
