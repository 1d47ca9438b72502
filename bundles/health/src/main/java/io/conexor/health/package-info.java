/** Health endpoints, and what is not ready and why. */
@NullMarked
package io.conexor.health;

import org.jspecify.annotations.NullMarked;
