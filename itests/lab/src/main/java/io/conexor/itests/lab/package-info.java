/**
 * Real servers as real processes on free loopback ports, and ways to break them: kill, freeze,
 * thaw, start again, cut off.
 */
@NullMarked
package io.conexor.itests.lab;

import org.jspecify.annotations.NullMarked;
