"""What is wrong with this robot, and what to type: facts, findings made of them, and one mend."""
