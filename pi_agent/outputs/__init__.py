"""What a motor driver or a servo can hang on: a pin, a channel of kernel PWM or of a PCA9685."""
